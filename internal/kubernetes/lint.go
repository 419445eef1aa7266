package kubernetes

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A Mistake is what is wrong with the health checks of a pod template.
type Mistake struct {
	Kind MistakeKind
	Path string // in the spec of the pod, such as containers[0].livenessProbe.httpGet
	Text string // without a name or a path of the template
}

// A MistakeKind is a kind of mistake.
type MistakeKind string

// The kinds of mistakes.
const (
	LivenessIsReadiness MistakeKind = "liveness_is_readiness" // or startup is
	NoReadiness         MistakeKind = "no_readiness"
	NoContainers        MistakeKind = "no_containers"
)

// HealthMistakes finds health checks that restart a container because another service is down, and containers that get traffic
// before they are ready. A container is restarted by its liveness and startup probe, so neither may ask what readiness asks, which
// depends on others. The readiness path says which page that is, whatever the template has as its readiness probe.
func (s *PodSpec) HealthMistakes(readinessPath string) []Mistake {
	if len(s.Containers) == 0 {
		return []Mistake{{NoContainers, "", "expected containers, got none"}}
	}
	var all []Mistake
	for i := range s.InitContainers {
		if s.InitContainers[i].RestartPolicy == "Always" { // a sidecar
			all = append(all, s.InitContainers[i].restarting(fmt.Sprintf("initContainers[%d]", i), readinessPath)...)
		}
	}
	for i := range s.Containers {
		c, path := &s.Containers[i], fmt.Sprintf("containers[%d]", i)
		all = append(all, c.restarting(path, readinessPath)...)
		if c.ReadinessProbe == nil && c.listens() {
			all = append(all, Mistake{NoReadiness, path, "expected a readinessProbe, since it listens on a port: without one it gets traffic before it is ready"})
		}
	}
	return all
}

// restarting finds the probes by which a container is restarted and that ask what readiness asks.
func (c *Container) restarting(path, readinessPath string) []Mistake {
	var all []Mistake
	for _, p := range []struct {
		name  string
		probe *HealthProbe
	}{{"livenessProbe", c.LivenessProbe}, {"startupProbe", c.StartupProbe}} {
		if p.probe == nil {
			continue
		}
		say := func(field, text string) {
			all = append(all, Mistake{LivenessIsReadiness, path + "." + p.name + "." + field, p.name + " " + text + ": a dependency that is down would restart it"})
		}
		ready := c.ReadinessProbe
		if ready == nil {
			ready = &HealthProbe{}
		}
		switch get, exec, grpc := p.probe.HTTPGet, p.probe.Exec, p.probe.GRPC; {
		case get != nil && ready.HTTPGet != nil && pathOf(get) == pathOf(ready.HTTPGet) && c.port(get.Port) == c.port(ready.HTTPGet.Port):
			say("httpGet", "asks the same page as the readinessProbe")
		case get != nil && isPath(pathOf(get), readinessPath):
			say("httpGet", "asks the readiness path")
		case exec != nil && ready.Exec != nil && slices.Equal(exec.Command, ready.Exec.Command):
			say("exec", "runs the same command as the readinessProbe")
		case exec != nil && exec.asks(readinessPath):
			say("exec", "runs a command that asks the readiness path")
		case grpc != nil && ready.GRPC != nil && *grpc == *ready.GRPC:
			say("grpc", "asks the same service as the readinessProbe")
		}
	}
	return all
}

// pathOf is the path that the kubelet asks.
func pathOf(g *HTTPGet) string {
	if g.Path == "" || g.Path[0] != '/' {
		return "/" + g.Path
	}
	return g.Path
}

// isPath reports whether a path, which may have parameters, is the readiness path.
func isPath(path, readinessPath string) bool {
	path, _, _ = strings.Cut(path, "?")
	return readinessPath != "" && strings.TrimRight(path, "/") == strings.TrimRight(readinessPath, "/")
}

// asks reports whether a URL in a command has the readiness path.
func (e *Exec) asks(readinessPath string) bool {
	for _, word := range strings.FieldsFunc(strings.Join(e.Command, " "), func(r rune) bool { return strings.ContainsRune(" \t\n\"';|&()", r) }) {
		if !strings.Contains(word, "://") {
			word = "http://" + word
		}
		if u, err := url.Parse(word); err == nil && u.Host != "" && isPath(u.Path, readinessPath) {
			return true
		}
	}
	return false
}

// port is a port by its number, if the container names it.
func (c *Container) port(port any) string {
	var name string
	switch port := port.(type) {
	case string:
		name = port
	case float64:
		return strconv.Itoa(int(port))
	case int:
		return strconv.Itoa(port)
	}
	for _, p := range c.Ports {
		if p.Name == name && name != "" {
			return strconv.Itoa(p.ContainerPort)
		}
	}
	return name
}

func (c *Container) listens() bool {
	return slices.ContainsFunc(c.Ports, func(p ContainerPort) bool { return p.Protocol == "" || p.Protocol == "TCP" })
}
