package protected

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
)

// Validate reports what is wrong with the settings.
func (p *Probe) Validate() error {
	_, common := p.Settings.Client(p.URL)
	wrong := []error{common, p.validateRoute(), p.Replicas.Validate(), p.Forgeries.validate()}
	if _, there := p.Callers[callerValid]; !there {
		wrong = append(wrong, errors.New("callers: valid is missing: that others are refused proves nothing unless somebody is let in"))
	}
	p.order, p.valid = nil, nil
	for _, name := range p.names() {
		c := &caller{name: name, Caller: p.Callers[name]}
		if c.Status.IsZero() && name != callerValid {
			c.Status = httpx.Codes(401)
		}
		settings := p.Settings.Merge(httpx.Settings{Bearer: c.Bearer, Basic: c.Basic, OAuth2: c.OAuth2, Headers: c.Headers})
		client, err := settings.Client(p.URL)
		if common == nil { // else it is told once, for all
			wrong = append(wrong, within("callers."+name+": ", err))
		}
		c.client = client
		if name == callerValid {
			p.valid = c
		}
		wrong = append(wrong, within("callers."+name+": ", c.validate(p)))
		p.order = append(p.order, c)
	}
	if len(p.order) > mostCallers {
		wrong = append(wrong, fmt.Errorf("callers: %d are too many; at most %d are asked", len(p.order), mostCallers))
	}
	if p.Forgeries != nil {
		asker, err := p.ForOtherHost().Client(p.Forgeries.keysURL())
		wrong = append(wrong, within("forgeries.keys: ", err), p.validateForging())
		p.asker = asker
	}
	return errors.Join(wrong...)
}

// validateRoute checks what all callers have in common.
func (p *Probe) validateRoute() error {
	var wrong []error
	if p.URL == "" {
		wrong = append(wrong, errors.New("url is missing"))
	}
	if !p.Bearer.IsZero() || p.Basic != nil || p.OAuth2 != nil {
		wrong = append(wrong, errors.New("bearer, basic and oauth2 are a caller's: write them under callers, or nobody would have them too"))
	}
	for name := range p.Headers {
		if name = http.CanonicalHeaderKey(name); name == "Authorization" || name == "Cookie" {
			wrong = append(wrong, fmt.Errorf("headers: %s is a caller's: write it under callers, or nobody would have it too", name))
		}
	}
	if p.Method == "" || strings.Trim(strings.ToUpper(p.Method), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		wrong = append(wrong, errors.New("method: wanted one word such as POST"))
	}
	for key, s := range map[string]*httpx.Source{"code": p.Code, "marker": p.Marker} {
		if s != nil && (s.Header == "") == s.JSON.IsZero() {
			wrong = append(wrong, fmt.Errorf("%s: wanted a header or a json path, and not both", key))
		}
	}
	return errors.Join(wrong...)
}

// validateForging refuses forgeries that would be refused for another reason than being forged.
func (p *Probe) validateForging() error {
	v := p.Callers[callerValid]
	if v.Bearer.IsZero() && v.OAuth2 == nil {
		return errors.New("forgeries: valid presents no bearer token, so that forged ones would be refused for being tokens; give it bearer or oauth2")
	}
	settings := p.Settings.Merge(httpx.Settings{Headers: v.Headers})
	client, err := settings.Client("") // of the URL the valid caller's client told what is wrong
	p.liar = &caller{name: checkForgeries, client: client}
	if err != nil {
		p.liar = nil // told for the valid caller
	}
	return nil
}

// names lists the callers in the order in which they are asked.
func (p *Probe) names() []string {
	first := []string{callerNobody, callerGarbage}
	if _, there := p.Callers[callerValid]; there {
		first = append(first, callerValid)
	}
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(p.Callers)), func(name string) bool {
		return slices.Contains(first, name)
	})
	return append(first, others...)
}

var callerName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// validate tells what keeps a caller from proving what it is there for.
func (c *caller) validate(p *Probe) error {
	var wrong []error
	say := func(holds bool, format string, args ...any) {
		if holds {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	taken := slices.Contains([]string{checkWrongPath, checkForgeries, checkFixtures, checkReplicas, probe.RunCheck}, c.name) || strings.HasPrefix(c.name, forgedPrefix)
	say(taken, "the name is taken")
	say(!callerName.MatchString(c.name), "wanted a name of lower-case letters, digits and _")
	credential := c.hasCredential()
	say(c.name == callerNobody && credential, "nobody has no credential")
	say(!credential && c.name != callerNobody && c.name != callerGarbage, "a credential is missing: bearer, basic, oauth2 or headers")
	say(c.Code != "" && p.Code == nil, "code: nothing says where the code stands; write it under code, beside callers")
	codes := c.Status.Codes()
	if c.name == callerValid {
		say(len(c.Status) != 1 || len(codes) != 1, "status: wanted exactly one, such as 501")
		say(len(codes) == 1 && (denies(codes[0]) || codes[0] == 404 || codes[0] == 429 || codes[0]/100 == 3 || codes[0] == 502 || codes[0] == 503 || codes[0] == 504),
			"status: %s is what a stranger, a wrong path or a broken gateway gets too", c.Status)
		return errors.Join(wrong...)
	}
	say(len(codes) != len(c.Status) || !c.Status.Denial() || c.Status.Contains(429), "status: wanted what refuses this caller, such as 401; 429 and 4xx would not tell why")
	if v := p.Callers[callerValid]; len(v.Status) == 1 && c.Status.Contains(v.Status[0]) {
		say(true, "status: %s is what the valid caller gets", v.Status)
	}
	return errors.Join(wrong...)
}

// within puts where it is wrong before each line of an error.
func within(place string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(place + strings.ReplaceAll(err.Error(), "\n", "\n"+place))
}
