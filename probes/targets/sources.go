package targets

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"prober/internal/dial"
	"prober/internal/discovery"
	"prober/internal/httpx"
	"prober/internal/kubernetes"
	"prober/internal/memory"
	"prober/internal/probe"
)

// readFiles reads the files.
func (p *Probe) readFiles() (f found, o probe.Outcome) {
	list, err := discovery.ReadFiles(p.File)
	return found{list: list}, unread(err)
}

// unread says why a list was not read.
func unread(err error) probe.Outcome {
	unreadable := false
	if e, ok := errors.AsType[*discovery.FileError](err); ok {
		unreadable = e.Unreadable
	}
	switch {
	case err == nil:
		return probe.Outcome{Reason: probe.OK}
	case errors.Is(err, discovery.ErrTooMany):
		return probe.Outcomef(probe.TooLarge, "%s", err)
	case unreadable:
		return probe.Outcomef(probe.NoTargets, "%s", err)
	}
	return probe.Outcomef(probe.Schema, "%s", err)
}

// askHTTP makes the request that Prometheus makes.
func (p *Probe) askHTTP(ctx context.Context, r *probe.Result) (f found, o probe.Outcome) {
	every := max(1, int(probe.IntervalOf(ctx).Seconds()))
	a := p.client.Do(ctx, r, httpx.Request{
		Check: "list", URL: p.HTTP.URL, Want: httpx.Codes(http.StatusOK),
		Header: http.Header{"Accept": {"application/json"}, "X-Prometheus-Refresh-Interval-Seconds": {strconv.Itoa(every)}},
	})
	class := a.Classify(httpx.ClassifyOptions{Want: httpx.Codes(http.StatusOK), AllowCached: true, Credential: p.HTTP.Authenticates()})
	if !class.Passed() {
		return f, class.Outcome
	}
	if !discovery.IsJSON(a.Header.Get("Content-Type")) {
		return f, probe.Outcomef(probe.Header, "expected the Content-Type application/json, in UTF-8")
	}
	if err := memory.Take(ctx, int64(len(a.Body))); err != nil { // the targets are as large
		return f, httpx.NotJSON(err)
	}
	list, err := discovery.ParseJSON(a.Body)
	for i := range list {
		list[i] = discovery.WithLabel(list[i], "__meta_url", a.URL)
	}
	return found{list: list}, unread(err)
}

// askDNS looks the name up.
func (p *Probe) askDNS(ctx context.Context) (f found, o probe.Outcome) {
	resolver, name := dial.Resolver(p.DNS.Resolver), p.DNS.Name
	add := func(host string, port int, more ...string) {
		t := discovery.WithLabel(probe.Target{Address: net.JoinHostPort(host, strconv.Itoa(port))}, "__meta_dns_name", name)
		for i := 0; i+1 < len(more); i += 2 {
			t = discovery.WithLabel(t, more[i], more[i+1])
		}
		f.list = append(f.list, t)
	}
	if p.recordType() == "SRV" {
		records, err := dial.Services(ctx, resolver, name)
		if err != nil {
			o := lookupFailed(ctx, err)
			if o.Reason == probe.NoAddress {
				o.Detail = "expected a list: the name exists and has no SRV record"
			}
			return f, o
		}
		for _, s := range records {
			if s.Target == "." { // the service is decidedly not available (RFC 2782)
				continue
			}
			add(strings.TrimSuffix(s.Target, "."), int(s.Port), "__meta_dns_srv_record_target", s.Target, "__meta_dns_srv_record_port", strconv.Itoa(int(s.Port)))
		}
		return f, probe.Outcome{Reason: probe.OK}
	}
	four, six, err := dial.Addresses(ctx, resolver, name)
	if err != nil {
		return f, lookupFailed(ctx, err)
	}
	ips := four
	if p.DNS.Type == "AAAA" {
		ips = six
	}
	for _, ip := range ips {
		add(ip.String(), p.DNS.Port)
	}
	return f, probe.Outcome{Reason: probe.OK}
}

func lookupFailed(ctx context.Context, err error) probe.Outcome {
	o := dial.Explain(ctx, err)
	o.Detail = "expected a list: " + o.Detail
	return o
}

// askKubernetes lists the endpoints of the Service.
func (p *Probe) askKubernetes(ctx context.Context, r *probe.Result) (f found, o probe.Outcome) {
	namespace, o := p.kube.Namespace()
	if !o.Passed() {
		return f, o
	}
	slices, o := p.kube.EndpointSlices(ctx, r, "list", namespace, p.Kubernetes.Service)
	if !o.Passed() {
		return f, o
	}
	if len(slices) == 0 {
		return f, probe.Outcomef(reasonEmpty, "expected endpoints, got none: there is no such Service, or it selects nothing")
	}
	best, unready := map[string]probe.Target{}, map[string]bool{}
	for i := range slices {
		s := &slices[i]
		port, o := p.port(s)
		if !o.Passed() {
			return f, o
		}
		for j := range s.Endpoints {
			e := &s.Endpoints[j]
			if len(e.Addresses) == 0 || port == 0 {
				continue
			}
			address := net.JoinHostPort(e.Addresses[0], strconv.Itoa(port))
			if !e.Ready() && !p.Kubernetes.NotReady {
				unready[address] = true
				continue
			}
			if _, known := best[address]; !known || e.Ready() { // one endpoint may be in two slices for a while
				best[address] = endpointTarget(address, namespace, p.Kubernetes.Service, e)
			}
		}
	}
	for address, t := range best {
		delete(unready, address)
		f.list = append(f.list, t)
	}
	f.unready = len(unready)
	return f, o
}

// endpointTarget has the labels that Prometheus gives to an endpoint.
func endpointTarget(address, namespace, service string, e *kubernetes.Endpoint) probe.Target {
	labels := map[string]string{
		"__meta_kubernetes_namespace": namespace, "__meta_kubernetes_service_name": service,
		"__meta_kubernetes_endpointslice_endpoint_conditions_ready": strconv.FormatBool(e.Ready()),
	}
	if e.TargetRef != nil {
		labels["__meta_kubernetes_endpointslice_address_target_kind"] = e.TargetRef.Kind
		labels["__meta_kubernetes_endpointslice_address_target_name"] = e.TargetRef.Name
	}
	if e.NodeName != "" {
		labels["__meta_kubernetes_endpointslice_endpoint_node_name"] = e.NodeName
	}
	if e.Zone != "" {
		labels["__meta_kubernetes_endpointslice_endpoint_zone"] = e.Zone
	}
	return probe.Target{Address: address, Labels: labels}
}

// port returns the port of a slice; 0 if it has none.
func (p *Probe) port(s *kubernetes.EndpointSlice) (port int, o probe.Outcome) {
	o.Reason = probe.OK
	var all []int
	for _, q := range s.Ports {
		if q.Port != nil && !slices.Contains(all, *q.Port) && (p.Kubernetes.Port == "" || p.Kubernetes.Port == q.Name || p.Kubernetes.Port == strconv.Itoa(*q.Port)) {
			all = append(all, *q.Port)
		}
	}
	switch {
	case len(all) == 1 && all[0] > 0 && all[0] < 1<<16:
		return all[0], o
	case len(all) > 1:
		return 0, probe.Outcomef(probe.Schema, "expected port: the Service has several")
	case len(s.Endpoints) > 0:
		return 0, probe.Outcomef(probe.Schema, "expected a port of the Service, got endpoints without it")
	}
	return 0, o
}
