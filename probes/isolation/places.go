package isolation

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/probe"
)

// Most APIs count their objects, and a number such as 17 occurs in any response by chance. So a short id is only looked
// for where a list has ids: at the place in its JSON at which the caller's own id is.

// A jsonLeaf is a text or a number in a JSON body.
type jsonLeaf struct {
	place  string // the path to it, with * for the elements of arrays
	member string // the last name in the path
	text   string
	beside bool // the same object has the caller's own canary
}

// jsonLeaves lists the texts and numbers in a body, which may be JSON or lines of JSON. Objects with one of the given
// texts are those of the caller.
func jsonLeaves(body []byte, own []string) []jsonLeaf {
	var all []jsonLeaf
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	for {
		var value any
		if decoder.Decode(&value) != nil {
			return all
		}
		walkLeaves(value, jsonLeaf{place: "$"}, own, &all)
	}
}

// walkLeaves adds the leaves of a value, given what is known of it so far.
func walkLeaves(value any, at jsonLeaf, own []string, all *[]jsonLeaf) {
	switch value := value.(type) {
	case map[string]any:
		beside := false
		for _, inner := range value {
			text, _ := inner.(string)
			beside = beside || slices.ContainsFunc(own, func(part string) bool { return strings.Contains(text, part) })
		}
		for member, inner := range value {
			walkLeaves(inner, jsonLeaf{place: at.place + "." + member, member: member, beside: beside}, own, all)
		}
	case []any:
		for _, inner := range value {
			walkLeaves(inner, jsonLeaf{place: at.place + "[*]", member: at.member}, own, all)
		}
	default:
		if at.text = idText(value); at.text != "" {
			*all = append(*all, at)
		}
	}
}

// idPlaces returns the places at which a list has ids, judged by where the caller's own ids are. Better than a member with
// the name of the id is one whose object also has the caller's canary; an array of nothing but ids comes last.
func idPlaces(leaves []jsonLeaf, idField string, ownIDs []string) []string {
	named := func(l jsonLeaf) bool { return strings.EqualFold(l.member, idField) && !inArray(l) }
	for _, likely := range []func(l jsonLeaf) bool{
		func(l jsonLeaf) bool { return l.beside && named(l) },
		func(l jsonLeaf) bool { return l.beside },
		named,
		func(l jsonLeaf) bool {
			name := strings.ToLower(l.member)
			return inArray(l) && (name == "" || strings.HasSuffix(name, "id") || strings.HasSuffix(name, "ids"))
		},
	} {
		var places []string
		for _, l := range leaves {
			if likely(l) && slices.Contains(ownIDs, l.text) && !slices.Contains(places, l.place) {
				places = append(places, l.place)
			}
		}
		if len(places) == 1 { // with more, some are a coincidence
			return places
		}
	}
	return nil
}

// inArray reports whether a leaf is an element of an array.
func inArray(l jsonLeaf) bool { return strings.HasSuffix(l.place, "[*]") }

// plainParts are the parts of a canary of which any shows it.
func plainParts(text string) []string {
	if random := canary.Secret(text); random != text {
		return []string{random[:len(random)/2], random[len(random)/2:]}
	}
	return []string{text}
}

// listsID reports whether a list has the id of an org's own object among its ids.
func (rr *resourceRun) listsID(obj seededObject, answer *httpx.Answer) bool {
	leaves := jsonLeaves(answer.Body, plainParts(obj.text))
	return idPlaces(leaves, rr.idField(), []string{obj.id}) != nil
}

// shortIDsIn lists the short ids of objects of other orgs in a list. It learns from every list where the ids are.
func (r *run) shortIDsIn(req request, protected []protectedText, answer *httpx.Answer) []leak {
	rr, op := req.assertion.resource, req.op()
	if req.tenant == nil || !slices.Contains([]string{"list", "search", "export"}, op) {
		return nil
	}
	foreign := map[string]protectedText{}
	for _, known := range protected {
		if known.short && known.resource == rr && known.owner != req.tenant {
			foreign[known.text] = known
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	var ownIDs, ownParts []string
	for _, known := range protected {
		switch {
		case known.owner == req.tenant && known.kind == "id" && known.resource == rr:
			ownIDs = append(ownIDs, known.text)
		case known.owner == req.tenant && known.kind == "canary":
			ownParts = append(ownParts, plainParts(known.text)...)
		}
	}
	leaves := jsonLeaves(answer.Body, ownParts)
	places := r.learnPlaces(rr, op, idPlaces(leaves, rr.idField(), ownIDs))
	showsTexts := slices.ContainsFunc(leaves, func(l jsonLeaf) bool { return l.beside && slices.Contains(places, l.place) })
	var leaks []leak
	for _, l := range leaves {
		if id, ok := foreign[l.text]; ok && slices.Contains(places, l.place) && r.isForeign(req, id, showsTexts, answer) {
			leaks = append(leaks, leak{id, "in the place of its own", "body"})
		}
	}
	return leaks
}

// learnPlaces remembers where an operation has ids; without new places it returns those that are remembered.
func (r *run) learnPlaces(rr *resourceRun, op string, places []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if places == nil {
		return rr.idPlaces[op]
	}
	rr.idPlaces[op] = places
	return places
}

// isForeign reports whether a short id in a list is that of another org's object. If each org numbers its own objects, it
// may be that of an object of the caller: only a read that denies it shows that it is not. A list that shows texts would
// have shown the canary as well.
func (r *run) isForeign(req request, id protectedText, showsTexts bool, answer *httpx.Answer) bool {
	denied := r.deniesRead(req.assertion.resource)
	if !denied && !showsTexts {
		r.inconclusive(req.assertion, answer, probe.ControlFailed,
			"%s is shown an id that an object of %s has, and no read denies that: whether ids are unique across orgs is not known", req.caller(), id.owner.name)
	}
	return denied
}

// deniesRead reports whether every org was denied reading the objects of the others.
func (r *run) deniesRead(rr *resourceRun) bool {
	a := rr.assertion(checkIsolated, "read")
	r.mu.Lock()
	defer r.mu.Unlock()
	return a != nil && a.complete && len(a.violations) == 0
}
