package manifests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: proxy}
spec:
  template:
    spec:
      containers:
        - name: proxy
          image: proxy
          env: [{name: PORT, value: 8080}]
          ports: [{name: http, containerPort: 8080}]
          livenessProbe:
            periodSeconds: 5
            httpGet: {path: /ready, port: http}
          startupProbe: &ready
            httpGet: {path: /ready, port: 8080}
          readinessProbe: *ready
        - name: side
          ports: [{containerPort: 9000}]
`

func lint(text string) string {
	var b strings.Builder
	r := Lint([]byte(text))
	fmt.Fprintln(&b, r.Workloads)
	for _, m := range r.Mistakes {
		fmt.Fprintf(&b, "%d: %s\n", m.Line, m.Text)
	}
	return b.String()
}

func TestLint(t *testing.T) {
	const spec = "spec.template.spec.containers"
	const all = `1
14: Deployment proxy: ` + spec + `[0].livenessProbe.httpGet: livenessProbe asks the same page as the readinessProbe: a dependency that is down would restart it
16: Deployment proxy: ` + spec + `[0].startupProbe.httpGet: startupProbe asks the same page as the readinessProbe: a dependency that is down would restart it
18: Deployment proxy: ` + spec + `[1]: expected a readinessProbe, since it listens on a port: without one it gets traffic before it is ready
`
	indented := strings.ReplaceAll(strings.TrimSpace(deployment), "\n", "\n    ")
	for name, test := range map[string]struct{ text, want string }{
		"all mistakes": {deployment, all},
		"nothing":      {"", "0\n"},
		"no pods":      {"kind: Service\nspec: {}\n---\n---\nkind: Secret\ndata: {token: hunter2}\n", "0\n"},
		"several documents": {"# first\n---\nkind: Service\n---\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{livenessProbe: {httpGet: {path: /ready, port: 1}}}]}\n---\nkind: Pod\nmetadata: {name: b}\nspec: {containers: [{name: b}]}\n",
			"2\n7: Pod a: spec.containers[0].livenessProbe.httpGet: livenessProbe asks the readiness path: a dependency that is down would restart it\n"},
		"a list":          {"kind: List\nitems:\n  - " + indented + "\n", strings.NewReplacer("14:", "16:", "16:", "18:", "18:", "20:").Replace(all)},
		"a list of lists": {"kind: List\nitems: [{kind: PodList, items: [{kind: Pod, spec: {containers: []}}]}]\n", "1\n2: Pod : spec: expected containers, got none\n"},
		"a CronJob":       {"kind: CronJob\nmetadata: {name: c}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{startupProbe: {httpGet: {path: ready}}}]}}}}}\n", "1\n3: CronJob c: spec.jobTemplate.spec.template.spec.containers[0].startupProbe.httpGet: startupProbe asks the readiness path: a dependency that is down would restart it\n"},
		"no spec":         {"kind: Job\nmetadata: {name: j}\nspec: {template: {}}\n", "1\n1: Job j: expected spec.template.spec, got none\n"},
		"another form":    {"kind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n    - livenessProbe: hunter2\n", "1\n5: Pod p: cannot be read as the spec of a pod\n"},
		"a template":      {"kind: Pod\nmetadata: {name: {{ .Values.hunter2 }}}\n  x\n", "0\n2: not valid YAML: what follows is not looked at\n"},
		"after a mistake": { // of whose lines the decoder counts one less
			deployment + "---\na: ]\n", all + "20: not valid YAML: what follows is not looked at\n"},
		"no object":        {"- kind: Pod\n---\ntext\n---\n42\n", "0\n"},
		"an alias to self": {"kind: Pod\nspec: &a {containers: [*a]}\n", "1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lint(test.text); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
}

// What is shipped has no mistakes.
func TestLint_shipped(t *testing.T) {
	paths, err := filepath.Glob("../../config/deploy/*.yaml")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%v, %v", paths, err)
	}
	pods := 0
	for _, path := range paths {
		if name := filepath.Base(path); name == "compose.yaml" || name == "kustomization.yaml" {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r := Lint(data)
		pods += r.Workloads
		if len(r.Mistakes) > 0 {
			t.Errorf("%s: %v", path, r.Mistakes)
		}
	}
	if pods < 3 {
		t.Errorf("only %d workloads", pods)
	}
}

func FuzzLint(f *testing.F) {
	f.Add(deployment)
	f.Fuzz(func(_ *testing.T, text string) { Lint([]byte(text)) })
}
