package redis

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"prober/internal/dial"
	"prober/internal/probe"
	"prober/internal/testenv"
)

// pageRights are the rights that the page of the kind gives to the prober's user.
func pageRights(t testing.TB) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/kinds/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "ACL SETUSER prober on >change-me")
	block, _, found := strings.Cut(block, "```")
	rights := regexp.MustCompile(`(^|\s)([-+~][-@a-z|:*]+|reset[a-z]+)`).FindAllString(block, -1)
	if !found || len(rights) < 10 {
		t.Fatalf("the page has no rights: %q", rights)
	}
	for i := range rights {
		rights[i] = strings.TrimSpace(rights[i])
	}
	return rights
}

// grant gives the prober's user these rights and no others.
func grant(t testing.TB, s testenv.Redis, rights []string) {
	t.Helper()
	s.Do(t, append([]string{"acl", "setuser", "prober", "reset", "on", ">" + password}, rights...)...)
}

// TestRights: the rights of the page are enough for all checks, and without any of them something does not pass.
func TestRights(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	rights := pageRights(t)
	single, cluster := testenv.StartRedis(t), testenv.StartRedis(t, "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-port "+strconv.Itoa(testenv.FreePort(t)))
	prepare(t, single, cluster)
	cluster.Do(t, "cluster", "addslotsrange", "0", "16383")
	testenv.Eventually(t, time.Minute, func(context.Context) error {
		if !strings.Contains(cluster.Do(t, "cluster", "info"), "cluster_state:ok") {
			return errors.New("the cluster is not there yet")
		}
		return nil
	})
	for _, s := range []testenv.Redis{single, cluster} {
		s.Do(t, "set", "org:a:planted", "1")
		s.Do(t, "set", "org:b:planted", "1")
	}
	whole, sharded := whole(t, single), whole(t, cluster)
	whole.Keys.Databases = []int{0, 1}
	sharded.Address, sharded.Cluster = "", []string{cluster.Address()}
	ask := func(rights []string) string {
		var wrong []string
		for _, p := range []*Probe{whole, sharded} {
			s := map[*Probe]testenv.Redis{whole: single, sharded: cluster}[p]
			grant(t, s, rights)
			p.audit = audit{}
			if r := do(t, p, 10*time.Second); r.Verdict() != probe.Pass {
				wrong = append(wrong, notPassed(r, nil))
			}
		}
		return strings.Join(wrong, "; ")
	}
	if wrong := ask(rights); wrong != "" {
		t.Fatalf("the rights of the page are not enough: %s", wrong)
	}
	for i, right := range rights {
		if !strings.HasPrefix(right, "+") && !strings.HasPrefix(right, "~") {
			continue
		}
		if ask(slices.Delete(slices.Clone(rights), i, i+1)) == "" {
			t.Errorf("nothing needs %s", right)
		}
	}
}

// An authority signs certificates for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.file, _ = a.issue(t, "authority")
	return a
}

// issue writes a certificate for a name and 127.0.0.1, and its key, to files. The first one is that of the authority.
func (a *authority) issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: a.cert == nil, BasicConstraintsValid: true,
	}
	public := &signer.PublicKey
	if a.cert == nil {
		a.cert, a.key = template, signer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestTLS: a server with TLS is verified by its authority and its name, and gets the client's certificate.
func TestTLS(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	cert, key := ours.issue(t, "redis.test")
	client, clientKey := ours.issue(t, "prober")
	strange, strangeKey := others.issue(t, "prober")
	port := testenv.FreePort(t)
	s := testenv.StartRedis(t, fmt.Sprintf("tls-port %d", port), "tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+ours.file, "tls-auth-clients yes")
	prepare(t, s)
	s.Do(t, "mset", "org:a:planted", "1", "org:b:planted", "1")
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for name, test := range map[string]struct {
		tls  *dial.TLS
		want string
	}{
		"sound":                        {&dial.TLS{CAFile: ours.file, CertFile: client, KeyFile: clientKey}, ""},
		"by its name":                  {&dial.TLS{CAFile: ours.file, CertFile: client, KeyFile: clientKey, ServerName: "redis.test"}, ""},
		"another authority":            {&dial.TLS{CAFile: others.file, CertFile: client, KeyFile: clientKey}, "ping@1 cert"},
		"another name":                 {&dial.TLS{CAFile: ours.file, CertFile: client, KeyFile: clientKey, ServerName: "other.test"}, "ping@1 cert"},
		"no client certificate":        {&dial.TLS{CAFile: ours.file}, "ping@1 credential"},
		"a client certificate, others": {&dial.TLS{CAFile: ours.file, CertFile: strange, KeyFile: strangeKey}, "ping@1 credential"},
		"no TLS":                       {nil, "ping@1 reset"}, // or protocol, if the server's alert is read before its end
	} {
		t.Run(name, func(t *testing.T) {
			p := whole(t, s)
			p.Address, p.TLS = address, test.tls
			r := do(t, p, 10*time.Second)
			got, _, _ := strings.Cut(strings.Replace(notPassed(r, map[string]string{address: "1"}), "protocol", "reset", 1), ",")
			if got != test.want {
				t.Errorf("expected %q, got %s", test.want, notPassed(r, nil))
			}
		})
	}
}

// passOver runs a probe until a whole pass over all keys has begun and ended, and returns the reasons of keys run by run.
func passOver(t *testing.T, p *Probe, most int) (reasons []string, last probe.Result) {
	t.Helper()
	ended := 0
	for range most {
		last = again(t, p, 10*time.Second)
		i := slices.IndexFunc(last.Checks, func(c probe.Check) bool { return c.Name == checkKeys })
		reasons = append(reasons, last.Checks[i].Reason.Word)
		if _, is := sample(last, passGauge); is {
			if ended++; ended == 2 {
				return reasons, last
			}
		}
	}
	t.Fatalf("no pass ended in %d runs: %q", most, reasons)
	return nil, last
}

// TestShares: a pass over more keys than a run looks at meets each of them, and forgets one that is deleted.
func TestShares(t *testing.T) {
	testenv.WithoutRace(t)
	t.Parallel()
	s := testenv.StartRedis(t, "enable-debug-command yes")
	prepare(t, s)
	s.Do(t, "debug", "populate", "4000", "org:a", "8")
	s.Do(t, "set", "org:a:planted", "1")
	p := scanned(s.Address())
	p.Settings, p.Keys.PerRun, p.Keys.Count = login(t), 1000, 200
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	reasons, r := passOver(t, p, 20)
	if reasons[0] != "pass_unfinished" || r.Verdict() != probe.Pass || len(reasons) < 8 {
		t.Errorf("sound: %q", reasons)
	}
	if met := p.audit.last.met; met < 4001 {
		t.Errorf("%d of 4001 keys were met", met)
	}
	s.Do(t, "set", "session:"+marker, "1")
	reasons, r = passOver(t, p, 20)
	if got := notPassed(r, nil); got != "keys unprefixed" {
		t.Errorf("a key of no org: got %s in %q", got, reasons)
	}
	s.Do(t, "del", "session:"+marker)
	passOver(t, p, 20)
	if r := again(t, p, 10*time.Second); r.Verdict() != probe.Pass {
		t.Errorf("after it is deleted: %s", notPassed(r, nil))
	}
}

// TestReal_keys: half a million keys are looked at in shares while others are served.
func TestReal_keys(t *testing.T) {
	testenv.Real(t)
	const keys = 500_000
	s := testenv.StartRedis(t, "enable-debug-command yes", "slowlog-log-slower-than 50000") // a step takes 1 ms, a busy machine more
	prepare(t, s)
	s.Do(t, "debug", "populate", strconv.Itoa(keys), "org:a", "8")
	s.Do(t, "mset", "org:a:planted", "1", "session:"+marker, "1")
	p := scanned(s.Address())
	p.Settings, p.Keys.PerRun = login(t), 100_000
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	reasons, r := passOver(t, p, 20)
	took := time.Since(began)
	if got := notPassed(r, nil); got != "keys unprefixed" || p.audit.last.met < keys {
		t.Errorf("got %s in %q, and met %d", got, reasons, p.audit.last.met)
	}
	t.Logf("two passes over %d keys took %s in %d runs", keys, took, len(reasons))
	if slow := s.Do(t, "slowlog", "get", "10"); strings.Contains(strings.ToLower(slow), "scan") {
		t.Errorf("a step kept others waiting for 50 ms: %s", slow)
	}
}
