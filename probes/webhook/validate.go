package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"prober/internal/httpx"
	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/signature"
	"prober/internal/text"
)

// Variables of the settings.
const (
	tokenVariable = "{token}"
	caseVariable  = "{case}"
	nonceVariable = "{nonce}"
	idVariable    = "{id}"
)

// Bounds of the settings.
const (
	maxCases   = 20
	maxAnswers = 10
	maxSecrets = 5
	maxRevoked = 20
	reserve    = 5 * time.Second // for the requests of a run
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	if p.implied = len(p.Cases) == 0; p.implied {
		p.Cases = map[string]Case{"delivered": {Answers: []Answer{{Status: http.StatusOK}}}}
	}
	wrong := []error{p.validatePublic(), p.validateSignature(), p.validateSources(), p.validateTrigger(), p.validateCases(), p.validateDead()}
	if p.Within <= 0 {
		wrong = append(wrong, probe.Settingf("within", "must be above zero"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validatePublic() error {
	client, err := p.ForOtherHost().ClientFor(map[string]string{"public": strings.ReplaceAll(p.Public, tokenVariable, "x"), "signature.keys": p.Signature.Keys})
	p.other = client
	u, parseErr := url.Parse(strings.ReplaceAll(p.Public, tokenVariable, "x"))
	if p.Public != "" && (strings.Count(p.Public, tokenVariable) != 1 || parseErr != nil || !strings.HasSuffix(p.Public, "/"+tokenVariable) || u.RawQuery != "") {
		err = errors.Join(err, probe.Settingf("public", "expected a URL whose path ends with /{token}"))
	}
	return err
}

func (p *Probe) validateSignature() error {
	s := &p.Signature
	var wrong []error
	not := func(key string, given bool, why string) {
		if given {
			wrong = append(wrong, probe.Settingf("signature."+key, "%s", why))
		}
	}
	set := s.Scheme == signature.JWS || s.Scheme == signature.Detached
	hmac := s.Scheme == signature.HMAC
	switch {
	case s.Scheme == "": // the decoder says so
		return nil
	case !slices.Contains(signature.Schemes, s.Scheme):
		return probe.Settingf("signature.scheme", "expected one of %s%s", strings.Join(signature.Schemes, ", "), text.DidYouMean(s.Scheme, signature.Schemes))
	}
	not("header", s.Header == "" && (hmac || s.Scheme == signature.Detached || s.Scheme == signature.Token), "is missing")
	not("header", s.Header != "" && s.Scheme == signature.Standard, "the names of the headers are those of Standard Webhooks or Svix")
	not("prefix", s.Prefix != "" && !hmac && s.Scheme != signature.Token, "goes with hmac and token only")
	not("encoding", s.Encoding != "" && !hmac, "goes with hmac only")
	not("encoding", s.Encoding != "" && s.Encoding != "hex" && s.Encoding != "base64", "expected hex or base64")
	not("content", s.Content != "" && !hmac, "goes with hmac only")
	not("timestamp", s.Timestamp != "" && !hmac && !set, "goes with hmac and jws only")
	not("typ", s.Typ != "" && !set, "goes with jws only")
	not("secrets", (len(s.Secrets) == 0) != set, "expected secrets with standard, hmac and token, and keys with jws")
	not("secrets", len(s.Secrets) > maxSecrets, fmt.Sprintf("expected at most %d", maxSecrets))
	not("keys", (s.Keys == "") == set, "expected the URL of a key set with jws, and with no other scheme")
	for key, given := range map[string]bool{"cache": s.Cache != 0, "grace": s.Grace != 0, "revoked": len(s.Revoked) > 0} {
		not(key, given && !set, "goes with jws only: other keys have no name that tells them apart")
	}
	for key, d := range map[string]probe.Duration{"cache": s.Cache, "grace": s.Grace} {
		not(key, d < 0, "must be above zero")
	}
	not("revoked", len(s.Revoked) > maxRevoked, fmt.Sprintf("expected at most %d", maxRevoked))
	not("tolerance", s.Tolerance < probe.Duration(2*time.Second), "expected at least 2s, since the timestamp is in whole seconds")
	content := s.Content
	if content == "" {
		content = signature.PartBody
	}
	not("content", strings.Count(content, signature.PartBody) != 1 || strings.Contains(content, idVariable), "expected {body} once, and {timestamp} if need be")
	not("content", hmac && strings.Contains(content, "{timestamp}") != (s.Timestamp != ""), "expected {timestamp} in it if there is a timestamp, which nothing proves otherwise")
	if set && s.Timestamp != "" {
		path, err := jsonpath.Parse(s.Timestamp)
		not("timestamp", err != nil || !path.Singular(), "expected an RFC 9535 path of one value in the JSON that is signed")
		p.stamp = path
	}
	p.form = signature.Form{Scheme: s.Scheme, Header: http.CanonicalHeaderKey(s.Header), Prefix: s.Prefix, Hex: s.Encoding != "base64", Content: content,
		Type: strings.TrimPrefix(strings.ToLower(s.Typ), "application/")}
	if hmac {
		p.form.Timestamp = s.Timestamp
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateSources() error {
	standard := p.Signature.Scheme == signature.Standard
	var wrong []error
	for key, s := range map[string]httpx.Source{"id": p.ID, "key": p.Key} {
		switch {
		case s.Header != "" && !s.JSON.IsZero():
			wrong = append(wrong, probe.Settingf(key, "expected header or json, not both"))
		case s.Header == "" && s.JSON.IsZero() && !standard && (key == "id" || slices.ContainsFunc(p.caseNames(), func(name string) bool { return p.Cases[name].wanted() > 1 })):
			wrong = append(wrong, probe.Settingf(key, "is missing; only the scheme standard has one of its own"))
		case !s.JSON.IsZero() && !s.JSON.Singular():
			wrong = append(wrong, probe.Settingf(key+".json", "expected a path of one value"))
		}
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateTrigger() error {
	t := p.Trigger
	if t == nil {
		client, err := p.Settings.ClientFor(map[string]string{})
		p.client = client
		return err
	}
	fill := strings.NewReplacer(caseVariable, "x", nonceVariable, "x")
	client, err := p.Settings.ClientFor(map[string]string{"trigger.url": fill.Replace(t.URL)})
	p.client = client
	wrong := []error{err}
	if t.Method == "" {
		t.Method = http.MethodPost
	}
	if t.Status.IsZero() {
		t.Status = httpx.Success
	}
	wrong = append(wrong, probe.InSetting("trigger.method", httpx.ValidateMethod(t.Method)))
	switch {
	case t.ID.Header != "" && !t.ID.JSON.IsZero():
		wrong = append(wrong, probe.Settingf("trigger.id", "expected header or json, not both"))
	case t.ID.Header == "" && t.ID.JSON.IsZero() && !strings.Contains(t.URL+t.Body, nonceVariable):
		wrong = append(wrong, probe.Settingf("trigger.id", "is missing; or write {nonce} into url or body, if the caller chooses the id"))
	}
	return errors.Join(wrong...)
}

// wanted is how many attempts there must be.
func (c Case) wanted() int {
	if c.Attempts == 0 {
		return len(c.Answers)
	}
	return c.Attempts
}

func (p *Probe) validateCases() error {
	var wrong []error
	if len(p.Cases) > maxCases {
		wrong = append(wrong, probe.Settingf("cases", "expected at most %d, got %d", maxCases, len(p.Cases)))
	}
	p.cases = nil
	for _, name := range p.caseNames() {
		c := p.Cases[name]
		at := "cases." + name
		c.Attempts = c.wanted()
		if c.Within == 0 {
			c.Within = max(p.Within, p.Schedule, 1) // within itself may be what is wrong
		}
		if len(c.Answers) > 0 && c.NotBefore == 0 {
			c.NotBefore = c.Answers[0].RetryAfter
		}
		wrong = append(wrong, probe.InSetting(at, probe.ValidateName(name)), c.validate(at))
		if c.Quiet == nil && !c.last().accepts() && p.Schedule <= 0 {
			wrong = append(wrong, probe.Settingf("schedule", "is missing: without it nothing tells how long no further attempt of %s may come", name))
		}
		if c.Dead != nil && p.Dead == nil {
			wrong = append(wrong, probe.Settingf(at+".dead", "expected dead, the request that lists the dead letters, beside it"))
		}
		p.cases = append(p.cases, namedCase{name, c})
	}
	return errors.Join(wrong...)
}

func (c *Case) validate(at string) error {
	var wrong []error
	if len(c.Answers) > maxAnswers {
		wrong = append(wrong, probe.Settingf(at+".answers", "expected at most %d, got %d", maxAnswers, len(c.Answers)))
	}
	if c.Attempts < 1 || c.Attempts > len(c.Answers)+1 {
		wrong = append(wrong, probe.Settingf(at+".attempts", "expected 1 to one more than there are answers"))
	}
	if c.Within <= 0 || c.NotBefore < 0 || c.Quiet != nil && *c.Quiet < 0 {
		wrong = append(wrong, probe.Settingf(at, "expected within above zero, and neither not_before nor quiet below it"))
	}
	if c.NotBefore > 0 && (c.Attempts < 2 || c.NotBefore >= c.Within) {
		wrong = append(wrong, probe.Settingf(at+".not_before", "expected two attempts at least, and less than within: %s", c.Within))
	}
	if c.Backoff != 0 && (!(c.Backoff >= 1 && c.Backoff <= 100) || c.Attempts < 3 || slices.ContainsFunc(c.Answers, func(a Answer) bool { return a.After > 0 })) {
		wrong = append(wrong, probe.Settingf(at+".backoff", "expected 1 to 100, three attempts at least, and no answer with after: when the sender gave up is not known"))
	}
	for i, a := range c.Answers {
		at := fmt.Sprintf("%s.answers[%d]", at, i)
		switch {
		case a.Close && (a.Status != 0 || a.RetryAfter != 0):
			wrong = append(wrong, probe.Settingf(at, "a connection that is closed has no status"))
		case !a.Close && (a.Status < 200 || a.Status > 599):
			wrong = append(wrong, probe.Settingf(at+".status", "expected 200 to 599, got %d", a.Status))
		case a.After < 0 || a.After > probe.Duration(probe.MaxAnswerDelay):
			wrong = append(wrong, probe.Settingf(at+".after", "expected at most %s", probe.Duration(probe.MaxAnswerDelay)))
		case a.RetryAfter < 0 || a.RetryAfter.D()%time.Second != 0:
			wrong = append(wrong, probe.Settingf(at+".retry_after", "expected whole seconds"))
		}
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateDead() error {
	d := p.Dead
	if d == nil {
		return nil
	}
	p.once = p.Settings.Merge(httpx.Settings{Headers: d.Headers, Bearer: d.Bearer})
	client, err := p.once.ClientFor(map[string]string{"dead.url": strings.ReplaceAll(d.URL, idVariable, "x")})
	p.letters = client
	wrong := []error{err}
	if _, err := jsonpath.Parse(strings.ReplaceAll(d.Has, idVariable, "x")); err != nil || !strings.Contains(d.Has+d.URL, idVariable) {
		wrong = append(wrong, probe.Settingf("dead.has", "expected an RFC 9535 path with {id} in it, unless url has it"))
	}
	var present, absent bool
	for _, name := range p.caseNames() {
		if dead := p.Cases[name].Dead; dead != nil {
			present, absent = present || *dead, absent || !*dead
		}
	}
	switch {
	case !present && !absent:
		wrong = append(wrong, probe.Settingf("dead", "expected a case with dead: true or dead: false"))
	case !present:
		wrong = append(wrong, probe.Settingf("dead", "expected a case with dead: true too: an event that is not in a list of nothing proves nothing"))
	}
	return errors.Join(wrong...)
}

// CheckTimeout refuses a run that ends before the sender's schedule does.
func (p *Probe) CheckTimeout(timeout time.Duration) error {
	if p.Trigger == nil {
		return nil
	}
	if need := p.longest() + reserve; timeout < need {
		return probe.Settingf("timeout", "expected at least %s, for the longest case and the last event after it", probe.Duration(need.Round(time.Second)))
	}
	return nil
}
