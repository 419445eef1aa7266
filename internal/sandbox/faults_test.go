package sandbox

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/beevik/ntp"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"prober/internal/testenv"
)

// allRequests has one request to each route of the services, and some to unknown paths.
func allRequests(t testing.TB, s *Sandbox) []request {
	t.Helper()
	e := s.Env()
	var asks []request
	add := func(host, method, path, token string) {
		asks = append(asks, request{host: host, method: method, path: path, token: token})
	}
	add(auth, "GET", "/health", "")
	add(auth, "GET", "/.well-known/jwks.json", "")
	add(auth, "GET", "/.well-known/openid-configuration", "")
	add(auth, "POST", "/oauth/token", "")
	add(auth, "GET", "/time", "")
	add(auth, "GET", "/nothing", "")
	for _, proxy := range []string{proxy1, proxy2, proxy3} {
		add(proxy, "GET", "/health", "")
		add(proxy, "GET", "/ready", "")
		add(proxy, "GET", "/time", "")
		add(proxy, "GET", "/login", "")
		add(proxy, "GET", "/health-nothing", "")
		add(proxy, "POST", "/v1/chat/completions", e["PROBER_DEMO_ORG_A"])
		add(proxy, "POST", "/v1/chat/completions", "")
		add(proxy, "GET", "/.well-known/jwks.json", "")
		add(proxy, "POST", "/v1/chat/completions", e["PROBER_DEMO_TOKEN_VALID"])
		if proxy != proxy2 {
			continue // callers that must be refused ask one replica only, to save time
		}
		add(proxy, "POST", "/v1/chat/completions", "anybodys-token")
		add(proxy, "POST", "/v1/chat/completions-nothing", "")
		add(proxy, "POST", "/v1/chat/completions-nothing", e["PROBER_DEMO_TOKEN_VALID"])
		for _, name := range []string{"EXPIRED", "REVOKED", "SUSPENDED"} {
			add(proxy, "POST", "/v1/chat/completions", e["PROBER_DEMO_TOKEN_"+name])
		}
		for who, token := range forgedTokens(t, e) {
			asks = append(asks, request{host: proxy, method: "POST", path: "/v1/chat/completions", token: token, who: who})
		}
	}
	for _, host := range []string{auth, onepass} {
		for who, secret := range map[string]string{"the client": e["PROBER_DEMO_CLIENT_SECRET"], "a client with a wrong secret": "wrong"} {
			asks = append(asks, request{host: host, method: "POST", path: "/oauth/token", who: who,
				header: basic(clientID, secret), body: "grant_type=client_credentials"})
		}
		add(host, "POST", "/oauth/revoke", "")
	}
	add(memories, "GET", "/v1/whoami", e["PROBER_DEMO_ORG_A"])
	add(memories, "GET", "/v1/whoami", e["PROBER_DEMO_ORG_B"])
	add(memories, "GET", "/v1/whoami", "")
	add(memories, "GET", "/v1/memories", e["PROBER_DEMO_ORG_A"])
	add(onepass, "GET", "/up", "")
	add(onepass, "GET", "/up-nothing", "")
	add(onepass, "GET", "/maintenance", "")
	add(onepass, "GET", "/.well-known/jwks.json", "")
	add(onepass, "GET", "/.well-known/openid-configuration", "")
	add(onepass, "GET", "/api/v1/me", e["PROBER_DEMO_ADMIN"])
	add(onepass, "GET", "/api/v1/me", "")
	add(onepass, "GET", "/api/v1/admin/webhook_outbox?status=dead", e["PROBER_DEMO_ADMIN"])
	add(onepass, "GET", "/api/v1/admin/webhook_outbox?status=dead", "")
	add(onepass, "GET", "/api/v1/admin/webhook_outbox?status=dead", "anybodys-token")
	for who, token := range clientTokens(s) {
		for _, path := range []string{"/api/v1/me", "/api/v1/admin/webhook_outbox?status=dead"} {
			asks = append(asks, request{host: onepass, method: "GET", path: path, token: token, who: who})
		}
	}
	for _, host := range []string{proxy1, memories} {
		add(host, "GET", "/metrics", "")
	}
	add(render, "GET", "/v1/services/srv-demo", e["PROBER_DEMO_RENDER_KEY"])
	add(onepass, "GET", "/version", "")
	add(render, "GET", "/v1/services/srv-demo", "")
	for _, path := range []string{
		"/apis/apps/v1/namespaces/demo/deployments/proxy", "/apis/batch/v1/namespaces/demo/cronjobs/backup",
		"/api/v1/namespaces/demo/pods?labelSelector=app%3Dproxy", "/api/v1/namespaces/demo/pods?labelSelector=app%3Dproxy&continue=2",
	} {
		add(kubeAPI, "GET", path, e["PROBER_DEMO_KUBE_TOKEN"])
	}
	add(github, "GET", "/repos/demo/old-site/deployments", e["PROBER_DEMO_GITHUB_TOKEN"])
	add(github, "GET", "/repos/demo/old-site/deployments/8/statuses", e["PROBER_DEMO_GITHUB_TOKEN"])
	add(github, "GET", "/repos/demo/old-site/deployments", "")
	add(render, "GET", "/v1/services/srv-other", e["PROBER_DEMO_RENDER_KEY"])
	add(render, "GET", "/v1/services/srv-demo/deploys?limit=5", e["PROBER_DEMO_RENDER_KEY"])
	return asks
}

// label names one of allRequests.
func (s *Sandbox) label(a request) string {
	if a.who != "" {
		return fmt.Sprintf("%s %s %s as %s", a.host, a.method, a.path, a.who)
	}
	who := "anonymous"
	if a.token != "" {
		who = "an unknown token"
	}
	for name, value := range s.Env() {
		if value == a.token {
			who = strings.ToLower(strings.TrimPrefix(name, "PROBER_DEMO_"))
		}
	}
	return fmt.Sprintf("%s %s %s as %s", a.host, a.method, a.path, who)
}

// observe sends allRequests and describes each answer. Requests that hang get little time, the others as much as they
// need.
func observe(t *testing.T, s *Sandbox, waits func(request) bool) map[string]string {
	t.Helper()
	var mu sync.Mutex
	out := map[string]string{}
	var all sync.WaitGroup
	for _, a := range allRequests(t, s) {
		all.Go(func() {
			limit := answerTimeout
			if waits(a) {
				limit = 50 * time.Millisecond
			}
			asked, answer, err := s.promptly(t.Context(), a, limit)
			mu.Lock()
			defer mu.Unlock()
			out[s.label(a)] = s.describe(asked, answer, err)
		})
	}
	for _, k := range s.ntpServers {
		all.Go(func() {
			reply := s.describeNTP(k.name)
			mu.Lock()
			defer mu.Unlock()
			out[k.name+" time"] = reply
		})
	}
	all.Go(func() {
		said := s.describeMail(t.Context())
		mu.Lock()
		defer mu.Unlock()
		out[mail+" says"] = said
	})
	for _, d := range s.nameServers {
		all.Go(func() {
			said := s.describeNameServer(t.Context(), d.name)
			mu.Lock()
			defer mu.Unlock()
			for about, what := range said {
				out[d.name+" "+about] = what
			}
		})
	}
	all.Go(func() {
		said := s.describeLive(t.Context())
		mu.Lock()
		defer mu.Unlock()
		out[live+" says"] = said
	})
	all.Go(func() {
		said := s.describeLedger(t)
		mu.Lock()
		defer mu.Unlock()
		out[ledger+" says"] = said
	})
	all.Go(func() {
		said := s.describeWeb(t)
		mu.Lock()
		defer mu.Unlock()
		for about, what := range said {
			out[web+" "+about] = what
		}
	})
	for name := range redisServers() {
		all.Go(func() {
			said := s.describeRedis(t.Context(), name)
			mu.Lock()
			defer mu.Unlock()
			for about, what := range said {
				out[name+" "+about] = what
			}
		})
	}
	for name := range databases() {
		all.Go(func() {
			said := s.describeDatabase(t.Context(), name)
			mu.Lock()
			defer mu.Unlock()
			for about, what := range said {
				out[name+" "+about] = what
			}
		})
	}
	all.Wait()
	return out
}

// longEnough is how long an exchange may take for the Date in its answer to be compared with the clock.
const longEnough = 3 * time.Second

// promptly sends a request, again until its answer, if there is one, has taken so little time that the Date in it can
// be compared with when the request was sent. A busy machine only makes it try again.
func (s *Sandbox) promptly(ctx context.Context, a request, limit time.Duration) (asked time.Time, answer response, err error) {
	for {
		limited, cancel := context.WithTimeout(ctx, limit)
		asked = time.Now()
		answer, err = s.do(limited, a)
		took := time.Since(asked)
		cancel()
		if err != nil || took < longEnough {
			return asked, answer, err
		}
	}
}

// describeNTP describes what an NTP server says of itself and of the time. It asks again until the way there and back took
// so little that the offset is right to the second. A silent server gets little time, since loopback loses nothing.
func (s *Sandbox) describeNTP(name string) string {
	limit := answerTimeout
	for _, f := range *s.active.Load() {
		if f.Name == "ntp-silent" && slices.ContainsFunc(f.effects, func(e *effect) bool { return slices.Contains(e.hosts, name) }) {
			limit = 500 * time.Millisecond
		}
	}
	for {
		said, err := ntp.QueryWithOptions(s.address(name), ntp.QueryOptions{Timeout: limit})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "no answer"
		case err != nil:
			return err.Error()
		case said.RTT < 900*time.Millisecond: // the error of the offset is at most half of it
			return fmt.Sprintf("stratum %d, leap %d, kiss %q, off by %s", said.Stratum, said.Leap, said.KissCode, said.ClockOffset.Round(time.Second))
		}
	}
}

// describeDate describes how far a Date is off, in steps of five seconds, or returns nothing. The Date was written at most
// longEnough after the request was sent, and its fraction of a second is cut off: from one second after the request it
// is off by two at most.
func describeDate(asked time.Time, header http.Header) string {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return "no Date"
	}
	if off := date.Sub(asked.Add(time.Second)).Round(5 * time.Second); off != 0 {
		return fmt.Sprintf("Date off by %s", off)
	}
	return ""
}

// volatileValue matches values that differ from one start to the next.
var volatileValue = regexp.MustCompile(`"(x|y|n|d|p|q|dp|dq|qi|id|cursor|createdAt|dlq_at|now|authorization)":"[^"]{15,}"`)

// describe tells what a caller sees, without what differs from one start to the next.
func (s *Sandbox) describe(asked time.Time, answer response, err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case errors.Is(err, errTooLarge):
		return fmt.Sprintf("%d, too large", answer.status)
	case err != nil && answer.status != 0:
		return fmt.Sprintf("%d, cut off", answer.status)
	case err != nil:
		return "not HTTP"
	}
	words := []string{fmt.Sprint(answer.status)}
	for _, name := range []string{"X-Instance", "X-Version", "X-Trace-Id", "Age", "X-Cache", "Cache-Control", "Location", "Retry-After", "Www-Authenticate"} {
		if value := answer.header.Get(name); value != "" {
			words = append(words, name+"="+value)
		}
	}
	if off := describeDate(asked, answer.header); off != "" {
		words = append(words, off)
	}
	kind, _, _ := strings.Cut(answer.header.Get("Content-Type"), ";")
	body := accessToken.ReplaceAllStringFunc(strings.TrimSpace(answer.body), func(field string) string {
		return `"access_token":` + s.describeToken(accessToken.FindStringSubmatch(field)[1])
	})
	if strings.Contains(body, `"kty"`) {
		for _, key := range slices.Concat(s.keyring.ibex, s.keyring.logi) {
			members := asJSON(key).(object)
			for _, member := range []string{"x", "y", "n"} {
				if value, ok := members[member].(string); ok {
					body = strings.ReplaceAll(body, value, "of "+key.KeyID)
				}
			}
		}
	}
	if strings.Contains(body, "# TYPE") {
		body = risingValue.ReplaceAllString(body, "$1$2 N")
		body = strings.ReplaceAll(helpLine.ReplaceAllString(body, ""), "\n", " ; ")
	}
	body = timestamp.ReplaceAllStringFunc(volatileValue.ReplaceAllString(body, `"$1":"…"`), describeTime)
	for name := range defaults() {
		body = strings.ReplaceAll(body, s.address(name), name)
	}
	return strings.Join(append(words, kind, body), " ")
}

// helpLine matches a line of metrics that says what they mean.
var helpLine = regexp.MustCompile(`(?m)^# HELP .*\n`)

// risingValue matches the value of a sample that is above 0, or is so once a test has sent its requests.
var risingValue = regexp.MustCompile(`(?m)^([^#\n].*) (?:[1-9][0-9.e+]*|0\.[0-9]+)$|^(.*(?:501|403|revoked|org_suspended).*) [0-9.e+]+$`)

// accessToken matches an access token in an answer.
var accessToken = regexp.MustCompile(`"access_token":"([^"]*)"`)

// describeToken says what a token contains.
func (s *Sandbox) describeToken(token string) string {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		return "no token"
	}
	header := parsed.Headers[0]
	words := []string{header.Algorithm, header.KeyID}
	var c claims
	known := jose.JSONWebKeySet{Keys: slices.Concat(s.host(auth).verifier.keys, s.host(onepass).verifier.keys)}
	if parsed.Claims(known, &c) != nil {
		words = append(words, "unpublished")
		_ = parsed.UnsafeClaimsWithoutVerification(&c)
	}
	words = append(words, "iss="+c.Issuer, "sub="+c.Subject, "aud="+strings.Join(c.Audience, ","))
	if c.Org != "" {
		words = append(words, "org="+c.Org)
	}
	if c.Expiry != nil {
		words = append(words, "life="+c.Expiry.Time().Sub(c.IssuedAt.Time()).String())
	}
	return "(" + strings.Join(words, " ") + ")"
}

// clientTokens are tokens of clients of the login API, by their state.
func clientTokens(s *Sandbox) map[string]string {
	i := s.host(onepass).issuer
	good, taken, timeless := i.claims(clientID), i.claims(clientID), i.claims(clientID)
	i.revoke(taken)
	timeless.Expiry = nil
	all := map[string]string{}
	for who, c := range map[string]claims{
		"the client": good, "a client whose token was revoked": taken, "a client whose token never expires": timeless,
	} {
		all[who], _ = sign(i.keys[0], c) // an empty token would show in the golden file
	}
	return all
}

// forgedTokens are tokens that no issuer issued, by the kind of forgery.
func forgedTokens(t testing.TB, e map[string]string) map[string]string {
	t.Helper()
	parts := strings.Split(e["PROBER_DEMO_TOKEN_VALID"], ".")
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	first, _, _ := strings.Cut(e["PROBER_DEMO_PUBLIC_KEYS_PEM"], `\n-----BEGIN`)
	signed := func(alg string, hash func() hash.Hash, secret string) string {
		text := header(`{"alg":"`+alg+`","kid":"`+ibexKid+`"}`) + "." + parts[1]
		mac := hmac.New(hash, []byte(secret))
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	key := strings.ReplaceAll(first, `\n`, "\n")
	expired := strings.Split(e["PROBER_DEMO_TOKEN_EXPIRED"], ".")
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ownJWK, err := (&jose.JSONWebKey{Key: own.Public()}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	bySelf := func(members string) string {
		text := header(`{"alg":"ES256"`+members+`}`) + "." + parts[1]
		sum := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, own, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	block, _ := pem.Decode([]byte(key + "\n"))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	encrypter, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.ECDH_ES, Key: public}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := encrypter.Encrypt(claims)
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := sealed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	kid := `,"kid":"` + ibexKid + `"`
	zeros := base64.RawURLEncoding.EncodeToString(make([]byte, 64))
	return map[string]string{
		"a forger, unsigned":                          header(`{"alg":"none"}`) + "." + parts[1] + ".",
		"a forger, signed with the public key":        signed("HS256", sha256.New, key),
		"a forger, signed with the public key's line": signed("HS256", sha256.New, key+"\n"),
		"a forger, signed with the public key, HS512": signed("HS512", sha512.New, key+"\n"),
		"a forger, signed with another secret":        signed("HS256", sha256.New, "secret"),
		"a forger, signed with an empty secret":       signed("HS256", sha256.New, ""),
		"a forger, signature left out":                parts[0] + "." + parts[1] + ".",
		"a forger, no algorithm":                      header(`{"kid":"`+ibexKid+`"}`) + "." + parts[1] + ".",
		"a forger, a signature of zeros":              parts[0] + "." + parts[1] + "." + zeros,
		"a forger, another token's signature":         parts[0] + "." + parts[1] + "." + expired[2],
		"a forger, signed with another key":           bySelf(kid),
		"a forger, with a key of its own":             bySelf(kid + `,"jwk":` + string(ownJWK)),
		"a forger, with the URL of its keys":          bySelf(kid + `,"jku":"https://prober.invalid/"`),
		"a forger, no kid":                            bySelf(""),
		"a forger, in JSON":                           `{"payload":"` + parts[1] + `","signatures":[]}`,
		"a forger, four parts":                        expired[0] + "." + parts[1] + "." + expired[1] + "." + expired[2],
		"a forger, encrypted":                         encrypted,
	}
}

// hangingRequests reports which requests a fault leaves without an answer.
func hangingRequests(fault string) func(request) bool {
	where := map[string]string{
		"health-hangs": "proxy-N /health", "health-slow": "proxy-N /health", "up-hangs": "onepass /up",
		"keys-slow": "onepass /.well-known/jwks.json", "api-slow": "onepass /api/v1/me", "issuance-slow": "onepass /oauth/token",
	}[fault]
	return func(a request) bool {
		host := a.host
		if slices.Contains([]string{proxy1, proxy2, proxy3}, host) {
			host = "proxy-N"
		}
		return host+" "+a.path == where
	}
}

func nothingHangs(request) bool { return false }

// differences lists the answers that differ from those without faults, a line for each. A host that refuses all
// connections is one line.
func differences(whole, broken map[string]string) []string {
	refusing := map[string]bool{}
	for label, outcome := range broken {
		host, _, _ := strings.Cut(label, " ")
		if was, seen := refusing[host]; !seen || was {
			refusing[host] = outcome == "refused"
		}
	}
	var lines []string
	for _, label := range slices.Sorted(maps.Keys(whole)) {
		host, _, _ := strings.Cut(label, " ")
		switch now, asked := broken[label]; {
		case refusing[host]:
			lines = append(lines, host+" refuses connections")
		case asked && whole[label] != now:
			lines = append(lines, label+"\n      "+now)
		}
	}
	return slices.Compact(lines)
}

// isWitnessFault reports whether a fault is one of what the Prometheus knows, or says.
func isWitnessFault(f Fault) bool {
	return slices.ContainsFunc(witnessFaults(), func(w Fault) bool { return w.Name == f.Name })
}

// Every fault has the effects that its summary names and no others, and clearing it leaves no trace. The golden file has
// every request with its answer without faults, and for each fault the answers that change.
func TestFaults(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it sends every request under every fault")
	s := start(t, Options{Delay: time.Hour})
	whole := observe(t, s, nothingHangs)
	var b strings.Builder
	fmt.Fprintln(&b, "no faults")
	for _, label := range slices.Sorted(maps.Keys(whole)) {
		fmt.Fprintf(&b, "   %s\n      %s\n", label, whole[label])
	}
	for _, f := range s.Faults() {
		if isTenantFault(f) || isAnalyticsFault(f) || isWitnessFault(f) || isJobFault(f) || isWebhookFault(f) {
			continue // see TestTenantFaults, TestAnalyticsFaults, TestWitnessFaults, TestJobFaults and TestWebhookFaults
		}
		if err := s.Inject(f.Name); err != nil {
			t.Fatal(err)
		}
		changed := differences(whole, observe(t, s, hangingRequests(f.Name)))
		if err := s.Clear(f.Name); err != nil {
			t.Fatal(err)
		}
		if len(changed) == 0 {
			t.Errorf("%s: expected a change, got none", f.Name)
		}
		// What a fault leaves would be among the changes of the next one, and after the last.
		fmt.Fprintf(&b, "\n%s: %s\n", f.Name, f.Summary)
		for _, line := range changed {
			fmt.Fprintf(&b, "   %s\n", line)
		}
	}
	if left := differences(whole, observe(t, s, nothingHangs)); left != nil {
		t.Errorf("all faults are cleared, but still changed\n%s", strings.Join(left, "\n"))
	}
	testenv.Golden(t, "testdata/faults.golden", b.String())
}

// timestamp is a time that depends on when the sample system started, or on the hour.
var timestamp = regexp.MustCompile(`"(20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z)"`)

// describeTime is TIME with how many days it is ago, up to nine, so that the next hour changes nothing and three days do.
func describeTime(quoted string) string {
	at, err := time.Parse(time.RFC3339, strings.Trim(quoted, `"`))
	if err != nil {
		return "no time"
	}
	switch days := int(time.Since(at) / (24 * time.Hour)); {
	case days > 9:
		return `"TIME - many days"`
	case days > 0:
		return fmt.Sprintf(`"TIME - %d days"`, days)
	}
	return `"TIME"`
}

func TestDescribeTime(t *testing.T) {
	for ago, want := range map[time.Duration]string{
		0: `"TIME"`, 5 * time.Hour: `"TIME"`, 6 * time.Hour: `"TIME"`, 3*24*time.Hour + time.Hour: `"TIME - 3 days"`,
		300 * 24 * time.Hour: `"TIME - many days"`, 400 * 24 * time.Hour: `"TIME - many days"`,
	} {
		if got := describeTime(`"` + kubeTime(time.Now().Add(-ago)) + `"`); got != want {
			t.Errorf("%s ago: got %s, expected %s", ago, got, want)
		}
	}
}

func TestFaults_combined(t *testing.T) {
	testenv.WithoutRace(t)
	testenv.Slow(t, "it sends every request under several faults")
	s := start(t, Options{Delay: time.Hour})
	whole := observe(t, s, nothingHangs)
	for _, together := range [][]string{
		{"replica-down", "up-500", "deploy-failed"},
		{"auth-down", "outbox-schema", "me-500", "health-cached"},
		{"proxy-down", "endpoint-500", "up-not-http", "render-suspended", "deploys-empty"},
	} {
		var want []string
		for _, name := range together {
			s.ClearAll()
			if err := s.Inject(name); err != nil {
				t.Fatal(err)
			}
			want = append(want, differences(whole, observe(t, s, nothingHangs))...)
		}
		for _, name := range together {
			if err := s.Inject(name); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(want)
		if got := differences(whole, observe(t, s, nothingHangs)); !slices.Equal(got, want) {
			t.Errorf("%v: expected\n%s\ngot\n%s", together, strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
		s.ClearAll()
		if left := differences(whole, observe(t, s, nothingHangs)); left != nil {
			t.Errorf("%v: all cleared, but still changed\n%s", together, strings.Join(left, "\n"))
		}
	}
}

func TestClear_portWithTwoFaults(t *testing.T) {
	s := start(t, Options{})
	for _, name := range []string{"proxy-down", "replica-down"} {
		if err := s.Inject(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Clear("proxy-down"); err != nil {
		t.Fatal(err)
	}
	s.mustDo(t, request{host: proxy1, method: "GET", path: "/health"})
	if _, err := s.do(t.Context(), request{host: proxy2, method: "GET", path: "/health"}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("expected proxy-2 still refusing, got %v", err)
	}
}

func TestInject_twoFaultsOnOneRoute(t *testing.T) {
	s := start(t, Options{Delay: time.Millisecond})
	for _, name := range []string{"me-500", "api-slow"} {
		if err := s.Inject(name); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if answer := s.mustDo(t, request{host: onepass, method: "GET", path: "/api/v1/me"}); answer.status != 500 {
		t.Errorf("expected a slow 500, got %d", answer.status)
	}
	if took := time.Since(began); took < time.Millisecond {
		t.Errorf("expected a slow 500, got one after %s", took)
	}
}

func TestDelay_sameAnswer(t *testing.T) {
	const slow = 30 * time.Millisecond
	s := start(t, Options{Delay: slow})
	admin := s.Env()["PROBER_DEMO_ADMIN"]
	for name, a := range map[string]request{
		"health-slow": {host: proxy1, method: "GET", path: "/health"},
		"keys-slow":   {host: onepass, method: "GET", path: "/.well-known/jwks.json"},
		"api-slow":    {host: onepass, method: "GET", path: "/api/v1/me", token: admin},
	} {
		before := s.mustDo(t, a)
		if err := s.Inject(name); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		after := s.mustDo(t, a)
		if took := time.Since(began); took < slow {
			t.Errorf("%s: expected at least %s, got %s", name, slow, took)
		}
		if after.status != before.status || after.body != before.body {
			t.Errorf("%s: expected %d %s, got %d %s", name, before.status, before.body, after.status, after.body)
		}
	}
}

// An effect with a misspelt host or route would never apply.
func TestFaults_tableIsConsistent(t *testing.T) {
	s := start(t, Options{})
	seen := map[string]bool{}
	for _, f := range s.Faults() {
		if seen[f.Name] {
			t.Errorf("%s is listed twice", f.Name)
		}
		seen[f.Name] = true
		if f.Summary == "" || f.Signal == "" || len(f.effects) == 0 {
			t.Errorf("%s lacks a summary, a signal or an effect", f.Name)
		}
		for _, e := range f.effects {
			for _, name := range e.hosts {
				if e.alterReply != nil || e.alterDNS != nil {
					if s.address(name) == "" {
						t.Errorf("%s: there is no %s", f.Name, name)
					}
					continue
				}
				if s.host(name).routes[e.route] == nil && e.route != "" {
					t.Errorf("%s: %s has no route %q", f.Name, name, e.route)
				}
			}
		}
	}
}

func TestInject_idempotent(t *testing.T) {
	s := start(t, Options{})
	for _, step := range []struct {
		set  func(string) error
		name string
		want []string
	}{
		{s.Inject, "up-500", []string{"up-500"}},
		{s.Inject, "proxy-down", []string{"proxy-down", "up-500"}}, // in the order of the table
		{s.Inject, "proxy-down", []string{"proxy-down", "up-500"}},
		{s.Clear, "replica-down", []string{"proxy-down", "up-500"}},
		{s.Clear, "up-500", []string{"proxy-down"}},
		{s.Clear, "proxy-down", []string{}},
		{s.Clear, "proxy-down", []string{}},
	} {
		if err := step.set(step.name); err != nil {
			t.Fatal(err)
		}
		if got := s.Active(); !slices.Equal(got, step.want) {
			t.Errorf("after %s: expected %v, got %v", step.name, step.want, got)
		}
	}
}

func TestInject_unknownName(t *testing.T) {
	s := start(t, Options{})
	for name, want := range map[string]string{
		"proxy-donw":              `no fault is called "proxy-donw"; did you mean proxy-down?`,
		"up500":                   `no fault is called "up500"; did you mean up-500?`,
		"":                        `no fault is called ""`,
		"zzzzzzzzzzz":             `no fault is called "zzzzzzzzzzz"`,
		strings.Repeat("q", 1000): `no fault is called "` + strings.Repeat("q", 64) + `"`,
	} {
		for _, set := range []func(string) error{s.Inject, s.Clear} {
			if err := set(name); err == nil || err.Error() != want {
				t.Errorf("expected %s, got %v", want, err)
			}
		}
	}
}
