package protected

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/expect"
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	p.Confidential = !p.Body.Secret.IsZero()
	_, common := p.Settings.Client(p.URL)
	wrong := []error{common, p.validateRoute(), probe.InSetting("replicas", p.Replicas.Validate()), p.validateDenials("", nil, p.Denied)}
	if _, there := p.Callers[callerValid]; !there {
		wrong = append(wrong, probe.Settingf("callers.valid", "is missing: that others are rejected proves nothing unless a valid caller is accepted"))
	}
	p.order, p.valid = nil, nil
	for _, name := range p.names() {
		c := &caller{name: name, Caller: p.Callers[name]}
		c.denied = denials(c.Denied, c.Status, p.Denied, 401)
		settings := p.Settings.Merge(httpx.Settings{Bearer: c.Bearer, Basic: c.Basic, OAuth2: c.OAuth2, Login: c.Login, Headers: c.Headers})
		client, err := settings.ClientFor(map[string]string{"": p.URL})
		if common == nil { // else it is reported once, for all
			wrong = append(wrong, probe.InSetting("callers."+name, err))
		}
		c.client = client
		if name == callerValid {
			p.valid = c
		}
		wrong = append(wrong, probe.InSetting("callers."+name, c.validate(p)))
		p.order = append(p.order, c)
	}
	if len(p.order) > maxCallers {
		wrong = append(wrong, probe.Settingf("callers", "expected at most %d, got %d", maxCallers, len(p.order)))
	}
	if p.Forgeries != nil {
		asker, err := p.ForOtherHost().ClientFor(map[string]string{"forgeries.keys": p.Forgeries.keysURL()})
		wrong = append(wrong, err, probe.InSetting("forgeries", p.Forgeries.validate()), p.validateForging(),
			p.validateDenials("forgeries", p.Forgeries.Status, p.Forgeries.Denied))
		p.keysClient = asker
	}
	return errors.Join(wrong...)
}

// validateRoute checks what all callers have in common.
func (p *Probe) validateRoute() error {
	var wrong []error
	if p.URL == "" {
		wrong = append(wrong, probe.Settingf("url", "is missing"))
	}
	for _, key := range p.Credentials() {
		wrong = append(wrong, probe.Settingf(key, "belongs to a caller: write it under callers, or the caller without a credential would have it too"))
	}
	for name := range p.Headers {
		if key := http.CanonicalHeaderKey(name); key == "Authorization" || key == "Cookie" {
			wrong = append(wrong, probe.Settingf("headers."+name, "belongs to a caller: write it under callers, or the caller without a credential would have it too"))
		}
	}
	wrong = append(wrong, probe.InSetting("method", httpx.ValidateMethod(p.Method)))
	for key, s := range map[string]*httpx.Source{"code": p.Code, "marker": p.Marker} {
		if s != nil && (s.Header == "") == s.JSON.IsZero() {
			wrong = append(wrong, probe.Settingf(key, "expected header or json, and not both"))
		}
	}
	return errors.Join(wrong...)
}

// denials returns the ways in which somebody is rejected: their own, or those of all, or else some statuses.
//
//go:noinline
func denials(own expect.Denials, status httpx.Statuses, all expect.Denials, otherwise ...int) expect.Denials {
	switch {
	case !own.IsZero():
		return own
	case !status.IsZero():
		return expect.Denials{{Status: status}}
	case !all.IsZero():
		return all
	}
	return expect.DeniedBy(otherwise...)
}

// validateDenials checks what one setting says of who is rejected, by statuses or by denials: it must be impossible to
// take the answer of the valid caller for it.
func (p *Probe) validateDenials(in string, status httpx.Statuses, denied expect.Denials) error {
	at := "denied"
	var wrong []error
	switch {
	case !status.IsZero() && !denied.IsZero():
		return probe.InSetting(in, probe.Settingf("status", "denied says it already; only one of the two can be set"))
	case !status.IsZero():
		at, denied = "status", expect.Denials{{Status: status}}
		if denied.Validate() != nil {
			wrong = append(wrong, probe.Settingf(at, "expected a refusal, such as 401; 429 and 4xx would not say why, and a success is one only by denied"))
		}
	default:
		wrong = append(wrong, probe.InSetting(at, denied.Validate()))
	}
	if denied.ByBody() && strings.EqualFold(p.Method, "HEAD") {
		wrong = append(wrong, probe.Settingf(at, "the answer to HEAD has no body"))
	}
	if v := p.Callers[callerValid]; len(v.Status) == 1 && denied.ByStatus(v.Status[0]) {
		wrong = append(wrong, probe.Settingf(at, "%s is also the answer to the valid caller", v.Status))
	}
	return probe.InSetting(in, errors.Join(wrong...))
}

// validateForging refuses forgeries that would be rejected for another reason than being forged.
func (p *Probe) validateForging() error {
	v := p.Callers[callerValid]
	if v.Bearer.IsZero() && v.OAuth2 == nil && (v.Login == nil || !v.Login.IsBearer()) {
		return probe.Settingf("forgeries", "the valid caller presents no bearer token, so forged ones would be rejected for being tokens; give it bearer, oauth2 or login")
	}
	settings := p.Settings.Merge(httpx.Settings{Headers: v.Headers})
	client, err := settings.Client("") // the valid caller's client reports what is wrong with the URL
	p.forgeryCaller = &caller{name: checkForgeries, client: client}
	if err != nil {
		p.forgeryCaller = nil // reported for the valid caller
	}
	return nil
}

// names lists the callers in the order in which they are asked.
func (p *Probe) names() []string {
	first := []string{callerAnonymous, callerInvalid}
	if _, there := p.Callers[callerValid]; there {
		first = append(first, callerValid)
	}
	others := drop.If(sorted.Keys(p.Callers), func(name string) bool {
		return slices.Contains(first, name)
	})
	return append(first, others...)
}

// validate tells what keeps a caller from proving what it is there for.
func (c *caller) validate(p *Probe) error {
	var wrong []error
	if slices.Contains([]string{checkCatchAll, checkForgeries, checkStoredTokens, checkReplicas, probe.RunCheck}, c.name) || strings.HasPrefix(c.name, forgedPrefix) {
		wrong = append(wrong, probe.Settingf("", "the name is taken"))
	}
	wrong = append(wrong, probe.ValidateName(c.name))
	if now, renamed := map[string]string{"nobody": callerAnonymous, "garbage": callerInvalid}[c.name]; renamed {
		wrong = append(wrong, probe.Renamed("", now))
	}
	switch credential := c.hasCredential(); {
	case c.name == callerAnonymous && credential:
		wrong = append(wrong, probe.Settingf("", "must not have a credential"))
	case !credential && c.name != callerAnonymous && c.name != callerInvalid:
		wrong = append(wrong, probe.Settingf("", "a credential is missing: bearer, basic, oauth2, login or headers"))
	}
	if c.Code != "" && p.Code == nil {
		wrong = append(wrong, probe.Settingf("code", "nothing says where the response has its code; say so under code, beside callers"))
	}
	codes := c.Status.Codes()
	if c.name == callerValid {
		if !c.Denied.IsZero() {
			wrong = append(wrong, probe.Settingf("denied", "the valid caller is not rejected"))
		}
		switch {
		case len(c.Status) != 1 || len(codes) != 1:
			wrong = append(wrong, probe.Settingf("status", "expected exactly one, such as 501"))
		case denies(codes[0]) || codes[0] == 404 || codes[0] == 429 || codes[0]/100 == 3 || codes[0] == 502 || codes[0] == 503 || codes[0] == 504:
			wrong = append(wrong, probe.Settingf("status", "%s is also the answer to an unauthorized caller, at a wrong path or of a broken gateway", c.Status))
		}
		return errors.Join(wrong...)
	}
	status := c.Status
	if c.Denied.IsZero() && p.Denied.IsZero() {
		status = c.denied.Statuses() // the default may be wrong as well
	}
	return errors.Join(errors.Join(wrong...), p.validateDenials("", status, c.Denied))
}
