package arch

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"prober/internal/testenv"
)

// An object has the fields of a Kubernetes object that the rules check.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Rules    []accessRule
	Spec     struct {
		BackoffLimit            *int `yaml:"backoffLimit"`
		TTLSecondsAfterFinished *int `yaml:"ttlSecondsAfterFinished"`
		PodFailurePolicy        any  `yaml:"podFailurePolicy"`
		Endpoints               []endpoint
		PodMetricsEndpoints     []endpoint `yaml:"podMetricsEndpoints"`
		Ingress                 []struct {
			From  []any
			Ports []struct{ Port string }
		}
		Template struct{ Spec pod }
	}
}

// An accessRule is one of a Role.
type accessRule struct {
	APIGroups []string `yaml:"apiGroups"`
	Resources []string
	Verbs     []string
}

type endpoint struct {
	Port        string
	HonorLabels bool `yaml:"honorLabels"`
	Relabelings []struct {
		TargetLabel string `yaml:"targetLabel"`
		Replacement string
	}
}

type pod struct {
	AutomountServiceAccountToken *bool  `yaml:"automountServiceAccountToken"`
	RestartPolicy                string `yaml:"restartPolicy"`
	SecurityContext              struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		RunAsUser      int                   `yaml:"runAsUser"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	InitContainers []container `yaml:"initContainers"`
	Containers     []container
	Volumes        []volume
}

type volume struct {
	Name     string
	HostPath any `yaml:"hostPath"`
	EmptyDir any `yaml:"emptyDir"`
	Claim    any `yaml:"persistentVolumeClaim"`
}

type container struct {
	Name, Image    string
	RestartPolicy  string `yaml:"restartPolicy"`
	Args           []string
	Env            []struct{ Name, Value string }
	LivenessProbe  *check `yaml:"livenessProbe"`
	ReadinessProbe *check `yaml:"readinessProbe"`
	StartupProbe   *check `yaml:"startupProbe"`
	Resources      struct{ Limits map[string]string }
	Ports          []port
	Mounts         []struct {
		Name     string
		Path     string `yaml:"mountPath"`
		SubPath  string `yaml:"subPath"`
		ReadOnly bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		Privileged               bool
		ReadOnlyRootFilesystem   bool `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Add, Drop []string }
	} `yaml:"securityContext"`
}

type port struct {
	Name string
	Port int `yaml:"containerPort"`
}

type check struct {
	HTTPGet struct{ Path string } `yaml:"httpGet"`
}

func (c container) prober() bool { return c.Name == "prober" }

// forOtherTools are the shipped files that are no objects of Kubernetes.
var forOtherTools = []string{"compose.yaml", "kustomization.yaml"}

// manifests returns the objects of each shipped file.
func manifests(t *testing.T) map[string][]object {
	t.Helper()
	paths, err := filepath.Glob(root + "/config/deploy/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no manifests in config/deploy: %v", err)
	}
	all := map[string][]object{}
	for _, path := range paths {
		if slices.Contains(forOtherTools, filepath.Base(path)) {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)], err = objects(string(b))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return all
}

func objects(text string) ([]object, error) {
	var all []object
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
}

// excessPrivileges finds privileges of a pod that a prober does not need.
func excessPrivileges(p pod) (wrong []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	say(p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken, "automountServiceAccountToken: expected false")
	say(!p.SecurityContext.RunAsNonRoot, "runAsNonRoot: expected true")
	say(p.SecurityContext.RunAsUser != 65532, "runAsUser: expected 65532, the user of the image")
	say(p.SecurityContext.SeccompProfile.Type != "RuntimeDefault", "seccompProfile: expected RuntimeDefault")
	for _, v := range p.Volumes {
		say(v.HostPath != nil, "hostPath: a prober needs nothing of the node")
	}
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		s := c.SecurityContext
		say(s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation, "%s: allowPrivilegeEscalation: expected false", c.Name)
		say(s.Privileged, "%s: privileged: expected false", c.Name)
		say(!s.ReadOnlyRootFilesystem, "%s: readOnlyRootFilesystem: expected true", c.Name)
		say(!slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || len(s.Capabilities.Add) > 0, "%s: capabilities: expected all dropped and none added", c.Name)
		say(c.Resources.Limits["memory"] == "", "%s: limits: expected one on memory", c.Name)
	}
	return wrong
}

// excessAccess finds what a Role lets a prober do beyond looking at workloads and their pods. Tokens, keys and what customers said
// are in Secrets, ConfigMaps, logs and events.
func excessAccess(o object) (wrong []string) {
	if strings.HasPrefix(o.Kind, "ClusterRole") {
		wrong = append(wrong, o.Kind+": expected a Role: one namespace, not all")
	}
	allowed := map[string]string{ // by resource, the only verb
		"/pods": "list", "apps/deployments": "get", "apps/statefulsets": "get", "apps/daemonsets": "get", "apps/replicasets": "list", "batch/cronjobs": "get",
		"discovery.k8s.io/endpointslices": "list",
	}
	for _, rule := range o.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					if allowed[group+"/"+resource] != verb {
						wrong = append(wrong, fmt.Sprintf("%s: %s of %s/%s is more than a prober needs", o.Kind, verb, group, resource))
					}
				}
			}
		}
	}
	return wrong
}

// coupledHealthChecks finds health checks that would restart or hide a process because of another's fault.
func coupledHealthChecks(p pod) (wrong []string) {
	say := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		for _, l := range []*check{c.LivenessProbe, c.StartupProbe} {
			say(l != nil && strings.HasSuffix(l.HTTPGet.Path, "/ready"), "%s: liveness points at readiness: what is not ready would be restarted", c.Name)
		}
		if !c.prober() {
			continue
		}
		sidecar, once := c.RestartPolicy == "Always", slices.Contains(c.Args, "--once")
		say(!once && (c.LivenessProbe == nil || c.LivenessProbe.HTTPGet.Path != "/-/healthy"), "liveness: expected /-/healthy")
		say(!once && !sidecar && (c.ReadinessProbe == nil || c.ReadinessProbe.HTTPGet.Path != "/-/ready"), "readiness: expected /-/ready")
		say(sidecar && (c.ReadinessProbe != nil || c.StartupProbe != nil), "readiness of a sidecar is the whole pod's: expected none")
		say(!once && !slices.ContainsFunc(c.Args, func(a string) bool { return strings.HasPrefix(a, "--web.health-listen-address=") }),
			"expected --web.health-listen-address, which neither TLS nor a password shuts")
		say(!slices.ContainsFunc(c.Env, func(e struct{ Name, Value string }) bool { return e.Name == "GOMEMLIMIT" }), "expected GOMEMLIMIT below the memory limit")
	}
	return wrong
}

func TestManifests(t *testing.T) {
	all := manifests(t)
	for _, name := range []string{"deployment.yaml", "shards.yaml", "sidecar.yaml", "job.yaml", "role.yaml", "inbound.yaml"} {
		if len(all[name]) == 0 {
			t.Errorf("config/deploy/%s is missing", name)
		}
	}
	for name, objects := range all {
		t.Run(name, func(t *testing.T) {
			probers, pods := 0, 0
			for _, o := range objects {
				for _, w := range excessAccess(o) {
					t.Error(w)
				}
				pod := o.Spec.Template.Spec
				switch o.Kind {
				case "Job":
					if b := o.Spec.BackoffLimit; b == nil || *b != 0 || pod.RestartPolicy != "Never" {
						t.Error("Job: expected backoffLimit 0 and restartPolicy Never: a second try must not turn a red answer green")
					}
					if o.Spec.PodFailurePolicy == nil || o.Spec.TTLSecondsAfterFinished == nil {
						t.Error("Job: expected a podFailurePolicy and ttlSecondsAfterFinished")
					}
				}
				if len(pod.Containers) == 0 {
					continue
				}
				pods++
				for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
					if c.prober() {
						probers++
					}
				}
				for _, w := range slices.Concat(excessPrivileges(pod), coupledHealthChecks(pod), unsafeMounts(pod)) {
					t.Errorf("%s: %s", o.Kind, w)
				}
			}
			for _, w := range unsafeExposure(objects) {
				t.Error(w)
			}
			if want := min(pods, 1); probers != want {
				t.Errorf("%d containers named prober, expected %d", probers, want)
			}
			if pods == 0 && name != "role.yaml" && name != "inbound.yaml" {
				t.Error("expected pods")
			}
		})
	}
}

// The secrets that the example's configuration names are those that are created for it, and the comment on what the prober
// connects to has its ports.
func TestManifests_example(t *testing.T) {
	b, err := os.ReadFile(root + "/config/deploy/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	operations, err := os.ReadFile(root + "/docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	manifest := string(b)
	named, created := map[string]bool{}, map[string]bool{}
	for _, secret := range regexp.MustCompile(`file: /run/secrets/prober/([a-z-]+)`).FindAllStringSubmatch(strings.ReplaceAll(manifest, "ca_file", "file"), -1) {
		named[secret[1]] = true
	}
	for _, secret := range regexp.MustCompile(`--from-file=([a-z-]+)=PATH`).FindAllStringSubmatch(manifest, -1) {
		created[secret[1]] = true
		if !strings.Contains(string(operations), secret[0]) {
			t.Errorf("docs/operations.md does not create the secret %s", secret[1])
		}
	}
	if len(named) == 0 || !maps.Equal(named, created) {
		t.Errorf("the configuration names the secrets %v, and those created are %v", named, created)
	}
	_, comment, _ := strings.Cut(manifest, "# What the prober connects to")
	comment, _, _ = strings.Cut(comment, "\napiVersion")
	for _, address := range regexp.MustCompile(`\.svc:([0-9]+)`).FindAllStringSubmatch(manifest, -1) {
		if !strings.Contains(comment, " "+address[1]) {
			t.Errorf("the comment on what the prober connects to does not have the port %s", address[1])
		}
	}
}

// runManifests runs the binary with the flags and configurations of the manifests: every flag exists, every configuration
// is valid.
func runManifests(t *testing.T, binary string) {
	help, err := testenv.Run(t, exec.Command(binary, "run", "--help"))
	if err != nil {
		t.Fatalf("prober run --help: %v\n%s", err, help)
	}
	for name, args := range hostArgs(t) {
		expectFlags(t, help, name, args)
	}
	for name, objects := range manifests(t) {
		dir := t.TempDir()
		for _, o := range objects {
			for file, text := range o.Data {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range slices.Concat(o.Spec.Template.Spec.InitContainers, o.Spec.Template.Spec.Containers) {
				if c.prober() {
					expectFlags(t, help, name, c.Args)
				}
			}
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) == 0 {
			continue
		}
		if out, err := testenv.Run(t, exec.Command(binary, "check", "--config.file="+dir)); err != nil {
			t.Errorf("%s: prober check: %v\n%s", name, err, out)
		}
	}
}

// expectFlags requires the flags among the arguments to be in the help. Those that are on by default are listed as --[no-]flag.
func expectFlags(t *testing.T, help, name string, args []string) {
	t.Helper()
	for _, arg := range args {
		flag, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !strings.Contains(help, "--"+flag) && !strings.Contains(help, "--[no-]"+strings.TrimPrefix(flag, "no-")) {
			t.Errorf("%s: the binary has no flag --%s", name, flag)
		}
	}
}

func TestManifests_rulesBite(t *testing.T) {
	for _, test := range []struct {
		name string
		rule func(pod) []string
		file string
		harm func(*pod)
		want string
	}{
		{"nothing wrong", excessPrivileges, "deployment.yaml", func(*pod) {}, ""},
		{"token", excessPrivileges, "deployment.yaml", func(p *pod) { p.AutomountServiceAccountToken = nil }, "automountServiceAccountToken"},
		{"root", excessPrivileges, "job.yaml", func(p *pod) { p.SecurityContext.RunAsNonRoot = false }, "runAsNonRoot"},
		{"seccomp", excessPrivileges, "job.yaml", func(p *pod) { p.SecurityContext.SeccompProfile.Type = "Unconfined" }, "seccompProfile"},
		{"writable", excessPrivileges, "sidecar.yaml", func(p *pod) { p.InitContainers[0].SecurityContext.ReadOnlyRootFilesystem = false }, "readOnlyRootFilesystem"},
		{"capability", excessPrivileges, "deployment.yaml", func(p *pod) { p.Containers[0].SecurityContext.Capabilities.Add = []string{"NET_RAW"} }, "capabilities"},
		{"unlimited", excessPrivileges, "deployment.yaml", func(p *pod) { p.Containers[0].Resources.Limits = nil }, "limits"},
		{"node's files", excessPrivileges, "deployment.yaml", func(p *pod) { p.Volumes[0].HostPath = "/" }, "hostPath"},
		{"nothing coupled", coupledHealthChecks, "deployment.yaml", func(*pod) {}, ""},
		{"liveness at ready", coupledHealthChecks, "sidecar.yaml", func(p *pod) { p.Containers[0].LivenessProbe.HTTPGet.Path = "/ready" }, "would be restarted"},
		{"no liveness", coupledHealthChecks, "deployment.yaml", func(p *pod) { p.Containers[0].LivenessProbe = nil }, "/-/healthy"},
		{"no readiness", coupledHealthChecks, "deployment.yaml", func(p *pod) { p.Containers[0].ReadinessProbe = nil }, "/-/ready"},
		{"ready sidecar", coupledHealthChecks, "sidecar.yaml", func(p *pod) { p.InitContainers[0].ReadinessProbe = &check{} }, "whole pod"},
		{"health behind a password", coupledHealthChecks, "deployment.yaml", func(p *pod) { p.Containers[0].Args = nil }, "health-listen-address"},
		{"nothing mounted amiss", unsafeMounts, "deployment.yaml", func(*pod) {}, ""},
		{"a file that is never updated", unsafeMounts, "deployment.yaml", func(p *pod) { p.Containers[0].Mounts[0].SubPath = "example.yaml" }, "never updated"},
		{"secrets that can be written", unsafeMounts, "deployment.yaml", func(p *pod) { p.Containers[0].Mounts[1].ReadOnly = false }, "/run/secrets/prober: expected readOnly"},
		{"state that cannot be written", unsafeMounts, "deployment.yaml", func(p *pod) { p.Containers[0].Mounts[2].ReadOnly = true }, "--storage.path"},
		{"state that is kept nowhere", unsafeMounts, "deployment.yaml", func(p *pod) { p.Containers[0].Mounts = p.Containers[0].Mounts[:2] }, "--storage.path"},
		{"no memory limit for Go", coupledHealthChecks, "job.yaml", func(p *pod) { p.Containers[0].Env = nil }, "GOMEMLIMIT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, o := range manifests(t)[test.file] {
				if p := o.Spec.Template.Spec; len(p.Containers) > 0 {
					test.harm(&p)
					expectComplaint(t, test.rule(p), test.want)
				}
			}
		})
	}
}

func TestManifests_accessRulesBite(t *testing.T) {
	for _, test := range []struct {
		name string
		harm func(*object)
		want string
	}{
		{"nothing wrong", func(*object) {}, ""},
		{"every namespace", func(o *object) { o.Kind = "ClusterRole" }, "one namespace"},
		{"secrets", func(o *object) { o.Rules[0].Resources = append(o.Rules[0].Resources, "secrets") }, "list of /secrets is more than a prober needs"},
		{"logs", func(o *object) {
			o.Rules = append(o.Rules, accessRule{[]string{""}, []string{"pods/log"}, []string{"get"}})
		}, "get of /pods/log"},
		{"everything", func(o *object) { o.Rules[0] = accessRule{[]string{"*"}, []string{"*"}, []string{"*"}} }, "* of */*"},
		{"writing", func(o *object) { o.Rules[2].Verbs = append(o.Rules[2].Verbs, "patch") }, "patch of batch/cronjobs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			role := manifests(t)["role.yaml"][0]
			test.harm(&role)
			expectComplaint(t, excessAccess(role), test.want)
		})
	}
}
