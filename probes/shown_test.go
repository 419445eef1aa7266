package probes_test

import (
	"strings"
	"testing"

	"prober/config"
	"prober/probes"
)

// What is written out in a login or in the query of a path may be a credential, and is not shown with the configuration.
func TestShown(t *testing.T) {
	const marker = "hunter2-7f3a9c51d2"
	text := strings.ReplaceAll(`
system: s
probes:
  - name: a
    type: http
    url: https://shop.example/p
    login:
      url: https://shop.example/login
      headers: {X-Tenant: M}
      json: {user: M, nested: {pin: M, list: [M, {deep: M}]}, password: {env: KEPT}}
      capture: {json: $.token}
  - name: b
    type: http
    url: https://shop.example/p
    login:
      url: https://shop.example/login
      form: {user: M, password: {env: KEPT}}
      capture: {json: $.token}
  - name: c
    type: health
    service: http://shop.example
    replicas: {static: ["10.0.0.1:80"], want: 1}
    live: /livez?x=M
    ready: {path: "/readyz?x=M"}
`, "M", marker)
	c, err := config.Parse(probes.Kinds(), config.File{Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	if shown := string(c.YAML()); strings.Contains(shown, marker) || strings.Count(shown, "env: KEPT") != 2 || strings.Count(shown, "z?<hidden>") != 2 {
		t.Errorf("got\n%s", shown)
	}
}
