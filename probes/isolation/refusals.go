package isolation

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"

	"prober/internal/drop"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// Refusals are the responses by which an API refuses a request. A request that does not set one takes it over from its
// resource, and a resource from the probe.
type Refusals struct {
	Denied          expect.Denials `yaml:"denied" doc:"responses that deny another org's object: statuses, or {status, empty, json} if the body denies"`
	Rejected        expect.Denials `yaml:"rejected" doc:"responses that reject a missing or wrong org"`
	Unauthenticated expect.Denials `yaml:"unauthenticated" doc:"responses that reject an unauthenticated request"`
}

// inherit takes over what is not set.
func (s *Refusals) inherit(from Refusals) {
	for own, general := range map[*expect.Denials]expect.Denials{
		&s.Denied: from.Denied, &s.Rejected: from.Rejected, &s.Unauthenticated: from.Unauthenticated,
	} {
		if own.IsZero() {
			*own = general
		}
	}
}

// validate reports what is wrong with those that are set.
func (s *Refusals) validate() error {
	wrong := []error{
		probe.InSetting("denied", s.Denied.Validate()), probe.InSetting("rejected", s.Rejected.Validate()),
		probe.InSetting("unauthenticated", s.Unauthenticated.Validate()),
	}
	if s.Denied.Statuses().Contains(http.StatusUnauthorized) {
		wrong = append(wrong, probe.Settingf("denied", "401 means that the credential is not accepted, which proves nothing"))
	}
	return errors.Join(wrong...)
}

// all are the refusals of any sort.
func (s *Refusals) all() expect.Denials {
	return slices.Concat(s.Denied, s.Rejected, s.Unauthenticated)
}

// wrongOrg are the responses that refuse a request because of its org: it is rejected, or nothing of it is found.
//
//go:noinline
func (s *Refusals) wrongOrg() expect.Denials { return either(s.Rejected, s.Denied) }

// either returns the denials of both, those by status alone as one.
func either(a, b expect.Denials) expect.Denials {
	var statuses expect.Denial
	var byBody expect.Denials
	for _, d := range slices.Concat(a, b) {
		switch {
		case !d.ByBody():
			statuses.Status = union(statuses.Status, d.Status)
		case !slices.ContainsFunc(byBody, func(other expect.Denial) bool { return reflect.DeepEqual(d, other) }):
			byBody = append(byBody, d)
		}
	}
	if statuses.Status.IsZero() {
		return byBody
	}
	return append(expect.Denials{statuses}, byBody...)
}

// provokedStatuses lists the statuses of all refusals, successes aside.
func (p *Probe) provokedStatuses() []int {
	all := p.Refusals.all()
	for _, r := range p.Resources {
		for _, op := range operations {
			if tmpl := r.template(op); tmpl != nil {
				all = append(all, tmpl.Refusals.all()...)
			}
		}
	}
	for _, caller := range p.unauthorized {
		all = append(all, caller.refused...)
		if caller.named && caller.refused.IsZero() {
			all = append(all, expect.DeniedBy(http.StatusUnauthorized, http.StatusForbidden)...)
		}
	}
	codes := union(nil, all.Statuses()).Codes()
	return drop.If(codes, func(code int) bool { return code < http.StatusBadRequest })
}

// reportsError reports whether a body has an error and no data, in the form of GraphQL or JSON-RPC or in words. With a status
// of success, only the settings say whether that is a denial.
func reportsError(answer *httpx.Answer) bool {
	var body struct {
		Errors              []any
		Error, Data, Result any
	}
	if json.Unmarshal(answer.Body, &body) != nil {
		return false
	}
	members, isObject := body.Data.(map[string]any)
	for _, value := range members {
		if value != nil {
			return false
		}
	}
	if len(body.Errors) > 0 && (body.Data == nil || isObject) {
		return true
	}
	items, isList := body.Data.([]any)
	noData := body.Data == nil || isObject || isList && len(items) == 0
	switch e := body.Error.(type) {
	case map[string]any:
		return body.Result == nil
	case string:
		return e != "" && noData && body.Result == nil
	case bool:
		return e && noData && body.Result == nil
	}
	return false
}
