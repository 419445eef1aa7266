package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unsafeMounts finds files that would never be updated, secrets that are writable, and state that is not.
func unsafeMounts(p pod) (wrong []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		kept := ""
		for _, a := range c.Args {
			if file, ok := strings.CutPrefix(a, "--storage.path="); ok {
				kept = filepath.Dir(file)
			}
		}
		found := false
		for _, m := range c.Mounts {
			say(m.SubPath != "", "%s: %s: a file mounted by subPath is never updated", c.Name, m.Path)
			i := slices.IndexFunc(p.Volumes, func(v volume) bool { return v.Name == m.Name })
			if say(i < 0, "%s: %s: there is no volume %s", c.Name, m.Path, m.Name); i < 0 {
				continue
			}
			v := p.Volumes[i]
			writable := v.EmptyDir != nil || v.Claim != nil
			say(!writable && !m.ReadOnly, "%s: %s: expected readOnly", c.Name, m.Path)
			found = found || kept == m.Path && writable && !m.ReadOnly
		}
		say(kept != "" && !found, "%s: --storage.path: expected a writable emptyDir or claim at %s", c.Name, kept)
	}
	return wrong
}

// unsafeExposure finds a prober whose port anyone can reach or use to change something, and a scrape that renames labels or
// sets another job than the generated rules select.
func unsafeExposure(all []object) (wrong []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	listens, service := "", ""
	for _, o := range all {
		if o.Kind == "Service" {
			service = o.Metadata.Name
		}
		for _, c := range slices.Concat(o.Spec.Template.Spec.InitContainers, o.Spec.Template.Spec.Containers) {
			i := slices.IndexFunc(c.Ports, func(p port) bool { return p.Port == 9798 })
			if !c.prober() || i < 0 {
				continue
			}
			listens = c.Ports[i].Name
			for _, flag := range []string{"--no-web.enable-lifecycle", "--no-web.enable-run"} {
				say(!slices.Contains(c.Args, flag), "expected %s: nothing asks for a password", flag)
			}
		}
	}
	if listens == "" {
		return wrong // nothing listens, as in a Job
	}
	scrapes, guarded := 0, false
	for _, o := range all {
		for _, e := range slices.Concat(o.Spec.Endpoints, o.Spec.PodMetricsEndpoints) {
			scrapes++
			job := map[string]string{"ServiceMonitor": service}[o.Kind]
			for _, r := range e.Relabelings {
				if r.TargetLabel == "job" {
					job = r.Replacement
				}
			}
			say(e.Port != listens, "%s: port: got %q, want %q", o.Kind, e.Port, listens)
			say(!e.HonorLabels, "%s: expected honorLabels, or the service label of our series is renamed", o.Kind)
			say(job != "prober", "%s: job: got %q, expected prober, for which the rules look", o.Kind, job)
		}
		for _, rule := range o.Spec.Ingress {
			for _, p := range rule.Ports {
				say(p.Port == listens && len(rule.From) == 0, "NetworkPolicy: everybody may reach the prober")
				guarded = guarded || p.Port == listens
			}
			say(len(rule.Ports) == 0, "NetworkPolicy: every port is open")
		}
	}
	say(scrapes != 1, "%d monitors, expected one", scrapes)
	say(!guarded, "expected a NetworkPolicy that says who may reach the prober")
	return wrong
}

func TestManifests_exposureRulesBite(t *testing.T) {
	for _, test := range []struct {
		name, file, old, new, want string
	}{
		{"nothing exposed", "deployment.yaml", "", "", ""},
		{"a Service's labels renamed", "deployment.yaml", "honorLabels: true", "honorLabels: false", "ServiceMonitor: expected honorLabels"},
		{"a pod's labels renamed", "sidecar.yaml", "honorLabels: true", "", "PodMonitor: expected honorLabels"},
		{"another job", "sidecar.yaml", "targetLabel: job", "targetLabel: jobs", "job"},
		{"another Service", "deployment.yaml", "kind: Service\nmetadata:\n  name: prober", "kind: Service\nmetadata:\n  name: other", "job"},
		{"another port", "deployment.yaml", "- port: http\n", "- port: health\n", "port"},
		{"nobody scrapes", "sidecar.yaml", "podMetricsEndpoints", "endpointsOfPods", "0 monitors"},
		{"runs on request", "deployment.yaml", "            - --no-web.enable-run\n", "", "--no-web.enable-run"},
		{"reloads on request", "sidecar.yaml", "            - --no-web.enable-lifecycle\n", "", "--no-web.enable-lifecycle"},
		{"the port open to all", "sidecar.yaml", "- {port: http}", "- {port: prober}", "everybody may reach"},
		{"no policy", "sidecar.yaml", "  ingress:", "  egress:", "who may reach"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := os.ReadFile(root + "/config/deploy/" + test.file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(b), test.old) {
				t.Fatalf("%s does not say %q", test.file, test.old)
			}
			all, err := objects(strings.Replace(string(b), test.old, test.new, 1))
			if err != nil {
				t.Fatal(err)
			}
			expectComplaint(t, unsafeExposure(all), test.want)
		})
	}
}
