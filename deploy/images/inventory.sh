#!/bin/sh
# inventory.sh VENV FOLDER: what is installed in VENV, as a CycloneDX SBOM and as a list of licences, into FOLDER.
set -eu
venv=$1 folder=$2
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --no-cache-dir cyclonedx-bom==7.5.0 pip-licenses==5.5.5
mkdir -p "$folder"
"$tools/bin/cyclonedx-py" environment --output-reproducible --output-file "$folder/sbom.cdx.json" "$venv/bin/python"
"$tools/bin/pip-licenses" --python "$venv/bin/python" --from=mixed --format=csv --output-file "$folder/licenses.csv"
