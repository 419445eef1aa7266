package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
)

// TestReal_vault runs the documented configuration against a Vault whose policies keep orgs apart, and then with each
// capability also given on the other org's path. A policy that names the own keys by a glob is a hole as well: Vault cleans
// a path after it has asked the policy, so that a key with .. in it deletes another org's (CVE-2026-3605).
func TestReal_vault(t *testing.T) {
	url := testenv.Vault(t, 1)[0]
	root, _ := unseal(t, url)
	call(t, "POST", url+"/v1/sys/mounts/secret", root, map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	testenv.Answers(t, url+"/v1/secret/config", root)

	allow := func(keys string, opened map[string]string) func(t *testing.T) {
		return func(t *testing.T) {
			for _, org := range []string{"one", "two"} {
				rules := map[string]string{
					"secret/data/prober-" + org + "/" + keys:     `"create", "read", "update"`,
					"secret/metadata/prober-" + org + "/" + keys: `"delete"`,
					"secret/metadata/prober-" + org:              `"list"`,
					"secret/metadata/prober-" + org + "/":        `"list"`,
				}
				for path, capabilities := range opened {
					rules[path] = capabilities
				}
				var policy strings.Builder
				for path, capabilities := range rules {
					fmt.Fprintf(&policy, "path %q { capabilities = [%s] }\n", path, capabilities)
				}
				call(t, "PUT", url+"/v1/sys/policies/acl/"+org, root, map[string]any{"policy": policy.String()})
			}
		}
	}
	sound := allow("+", nil)
	sound(t)
	secrets := map[string]string{}
	for _, org := range []string{"one", "two"} {
		answer := call(t, "POST", url+"/v1/auth/token/create", root, map[string]any{
			"policies": []string{org}, "ttl": "1h", "meta": map[string]string{"org": "prober-" + org, "test_org": "true"},
		})
		auth, _ := answer["auth"].(map[string]any)
		secrets[org], _ = auth["client_token"].(string)
	}
	dir := writeSecrets(t, secrets)
	config := writeFile(t, t.TempDir(), "prober.yaml",
		example(t, "vault", "https://vault.example:8200", url, "/run/secrets/prober", dir, "timeout: 30s", "timeout: 55s"))

	// The rule for the own path is the longer match, so that a rule for all paths opens the other org's alone.
	opened := func(name, path, capabilities string, want ...string) hole {
		return hole{name: name, open: allow("+", map[string]string{path: capabilities}), close: sound, want: want}
	}
	testHoles(t, config, []hole{
		opened("read", "secret/data/*", `"read"`, "tenants context@secrets/read leak_body"),
		opened("list", "secret/metadata/*", `"list"`, "tenants context@secrets/list leak_list"),
		opened("create", "secret/data/*", `"create"`, "tenants context@secrets/create foreign_write"),
		opened("update", "secret/data/*", `"update"`, "tenants context@secrets/update foreign_write"),
		opened("delete", "secret/metadata/*", `"delete"`, "tenants context@secrets/delete foreign_delete"),
		{name: "glob", open: allow("*", nil), close: sound, want: []string{"tenants isolated@secrets/delete foreign_delete"}},
	})

	t.Run("protected", func(t *testing.T) {
		call(t, "PUT", url+"/v1/secret/data/prober-one/route", root, map[string]any{"data": map[string]string{"text": "a secret"}})
		config := writeFile(t, t.TempDir(), "prober.yaml", strings.NewReplacer("URL", url, "DIR", dir).Replace(`
system: vault
timeout: 25s
probes:
  - name: secret
    type: protected
    url: URL/v1/secret/data/prober-one/route
    callers:
      valid: {status: 200, headers: {X-Vault-Token: {file: DIR/one}}}
      anonymous: {status: 403}
      invalid: {status: 403}
      other: {status: 403, headers: {X-Vault-Token: {file: DIR/two}}}
`))
		testHoles(t, config, []hole{opened("read", "secret/data/*", `"read"`, "secret other auth_bypass")})
	})
}

// TestReal_vaultCluster runs the documented health probe against the nodes of a highly available Vault in each of their
// states: before it is initialized, sealed, active, standby, and after the active node stepped down.
func TestReal_vaultCluster(t *testing.T) {
	nodes := testenv.Vault(t, 3)
	configs := make([]string, len(nodes))
	for i, url := range nodes {
		config := example(t, "conventions", "http://vault.example:8200", url)
		_, vault, _ := strings.Cut(config, "  - name: vault\n")
		vault, _, _ = strings.Cut(vault, "\n  - ")
		vault, _, _ = strings.Cut(vault, "\n  #")
		configs[i] = writeFile(t, t.TempDir(), "prober.yaml", "system: conventions\nprobes:\n  - name: vault\n"+vault+"\n")
	}
	expect := func(state string, node int, status int, want ...string) {
		t.Helper()
		var out, errs strings.Builder
		got := run(t.Context(), []string{"--once", "--repeat=" + testenv.Runs(), "--config.file=" + configs[node]}, &out, &errs)
		if got != status {
			t.Errorf("node %d, %s: exit status: got %d, want %d\n%s%s", node, state, got, status, out.String(), errs.String())
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("node %d, %s: no %q in\n%s", node, state, text, out.String())
			}
		}
	}
	for node := range nodes {
		expect("not initialized", node, exitFail, "501")
	}
	root, key := unseal(t, nodes[0])
	expect("active", 0, exitPass)
	expect("sealed", 1, exitFail, "503")
	for _, url := range nodes[1:] {
		call(t, "PUT", url+"/v1/sys/unseal", "", map[string]any{"key": key})
		testenv.Answers(t, url+"/v1/sys/health?standbyok=true", "")
	}
	for node := range nodes {
		expect("unsealed", node, exitPass)
	}
	if got := statuses(t, nodes, "/v1/sys/health"); !slices.Equal(got, []int{200, 429, 429}) {
		t.Fatalf("expected an active node and two standbys, got %v", got)
	}

	call(t, "PUT", nodes[0]+"/v1/sys/step-down", root, nil)
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		got := statuses(t, nodes, "/v1/sys/health")
		slices.Sort(got)
		if !slices.Equal(got, []int{200, 429, 429}) {
			return fmt.Errorf("expected an active node and two standbys, got %v", got)
		}
		return nil
	})
	for node := range nodes {
		expect("after the active node stepped down", node, exitPass)
	}
	active := slices.Index(statuses(t, nodes, "/v1/sys/health"), 200)
	call(t, "PUT", nodes[active]+"/v1/sys/seal", root, nil)
	expect("sealed again", active, exitFail, "503")
}

// unseal initializes a Vault, unseals the node and returns the root token and the key of the seal.
func unseal(t *testing.T, url string) (root, key string) {
	t.Helper()
	answer := call(t, "PUT", url+"/v1/sys/init", "", map[string]any{"secret_shares": 1, "secret_threshold": 1})
	root, _ = answer["root_token"].(string)
	keys, _ := answer["keys"].([]any)
	key = fmt.Sprint(keys[0])
	call(t, "PUT", url+"/v1/sys/unseal", "", map[string]any{"key": key})
	testenv.Answers(t, url+"/v1/sys/health", "")
	return root, key
}

// statuses returns with which status each node answers a path.
func statuses(t *testing.T, nodes []string, path string) []int {
	t.Helper()
	var all []int
	for _, url := range nodes {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		all = append(all, resp.StatusCode)
	}
	return all
}
