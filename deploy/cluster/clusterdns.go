// Names of a test cluster, made of the libraries that the Kubernetes source brings: A records of Services, and of the
// pods behind a headless one. Every other name is asked of the server upstream.
package main

import (
	"flag"
	"log"
	"net"
	"strings"

	"github.com/miekg/dns"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	zone   = "cluster.local."
	suffix = ".svc." + zone
	ttl    = 5
)

type directory struct {
	services  listers.ServiceLister
	endpoints listers.EndpointsLister
}

// addresses of SERVICE.NAMESPACE.svc.cluster.local., or of POD.SERVICE.NAMESPACE...; none where there is no such name.
func (d directory) addresses(name string) []string {
	if !strings.HasSuffix(name, suffix) {
		return nil
	}
	parts := strings.Split(strings.TrimSuffix(name, suffix), ".")
	if len(parts) < 2 || len(parts) > 3 {
		return nil
	}
	pod := ""
	if len(parts) == 3 {
		pod, parts = parts[0], parts[1:]
	}
	service, err := d.services.Services(parts[1]).Get(parts[0])
	if err != nil {
		return nil
	}
	if ip := service.Spec.ClusterIP; ip != "None" {
		if pod != "" || ip == "" {
			return nil
		}
		return []string{ip}
	}
	endpoints, err := d.endpoints.Endpoints(parts[1]).Get(parts[0])
	if err != nil {
		return nil
	}
	var found []string
	for _, subset := range endpoints.Subsets {
		for _, address := range subset.Addresses {
			if pod == "" || pod == address.Hostname {
				found = append(found, address.IP)
			}
		}
	}
	return found
}

func (d directory) answer(writer dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetReply(query)
	reply.Authoritative = true
	question := query.Question[0]
	found := d.addresses(strings.ToLower(question.Name))
	if len(found) == 0 {
		reply.Rcode = dns.RcodeNameError
	}
	for _, address := range found {
		if question.Qtype == dns.TypeA {
			header := dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: net.ParseIP(address)})
		}
	}
	_ = writer.WriteMsg(reply)
}

func forward(upstream string) dns.HandlerFunc {
	return func(writer dns.ResponseWriter, query *dns.Msg) {
		if upstream != "" {
			client := dns.Client{Net: writer.RemoteAddr().Network()}
			if reply, _, err := client.Exchange(query, upstream); err == nil {
				_ = writer.WriteMsg(reply)
				return
			}
		}
		_ = writer.WriteMsg(new(dns.Msg).SetRcode(query, dns.RcodeServerFailure))
	}
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "of the cluster")
	listen := flag.String("listen", "", "host:port")
	upstream := flag.String("upstream", "", "host:port of a server for other names; empty: they are refused")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	core := factory.Core().V1()
	names := directory{core.Services().Lister(), core.Endpoints().Lister()}
	forever := make(chan struct{})
	factory.Start(forever)
	factory.WaitForCacheSync(forever)
	dns.HandleFunc(zone, names.answer)
	dns.HandleFunc(".", forward(*upstream))
	for _, network := range []string{"udp", "tcp"} {
		go func(network string) { log.Fatal(dns.ListenAndServe(*listen, network, nil)) }(network)
	}
	log.Print("serving")
	<-forever
}
