package isolation

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"prober/internal/canary"
	"prober/internal/httpx"
	"prober/internal/sorted"
)

// What an org has of this prober's canaries is found by their names, in a list or by a search.

// listCanaries lists the canaries of this prober that an org is shown.
func (r *run) listCanaries(ctx context.Context, a *assertion, rr *resourceRun, t *tenant) []seededObject {
	op, query := rr.inventoryOp(), ""
	if op == "search" {
		query = canary.Prefix
	}
	if rr.ID.Text != "" {
		return r.listChosen(ctx, a, rr, t, op, query)
	}
	var found []seededObject
	r.eachPage(ctx, a, rr, t, op, query, func(answer *httpx.Answer) {
		walkCanaries(decodeJSON(answer.Body), rr.idField(), "", func(id string, m canary.Mark) {
			if m.Replica == r.p.Replica && len(found) < maxRemembered {
				found = append(found, seededObject{resourceRun: rr, resource: rr.name, owner: t, id: id, text: m.Text, created: true})
			}
		})
	})
	return found
}

// listChosen lists the canaries whose ids the prober chose. A list may show ids, contents or both.
func (r *run) listChosen(ctx context.Context, a *assertion, rr *resourceRun, t *tenant, op, query string) []seededObject {
	shown := map[string]bool{}
	r.eachPage(ctx, a, rr, t, op, query, func(answer *httpx.Answer) {
		for _, m := range canary.Find(string(answer.Body)) {
			if m.Replica == r.p.Replica && len(shown) < maxRemembered {
				shown[m.Text] = true
			}
		}
	})
	isID := map[string]bool{}
	for text := range shown {
		isID[canary.Sibling(text)] = true
	}
	var found []seededObject
	for _, text := range sorted.Keys(shown) {
		obj := seededObject{resourceRun: rr, resource: rr.name, owner: t, text: text, created: true}
		switch {
		case isID[text]:
			continue // of an object whose content is shown too
		case shown[canary.Sibling(text)]:
			obj.id = rr.chosenID(t, text)
		default:
			obj.id = vars{org: t.id, canary: text}.expand(rr.ID.Text, verbatim)
		}
		found = append(found, obj)
	}
	return found
}

// inventoryOp is the operation that shows an org all canaries; empty if there is none.
func (r *Resource) inventoryOp() string {
	switch {
	case r.List != nil:
		return "list"
	case r.Search != nil:
		return "search"
	}
	return ""
}

// idField is the name of the id in lists: the same as in the response to create.
func (r *Resource) idField() string {
	if name := lastIdentifier.FindString(strings.TrimRight(r.ID.JSON.String(), `'"]`)); name != "" {
		return name
	}
	return "id"
}

var lastIdentifier = regexp.MustCompile(`[A-Za-z0-9_-]+$`)

// walkCanaries finds the canaries in a JSON value, each with the id of the object that contains it.
func walkCanaries(value any, idField, id string, found func(id string, m canary.Mark)) {
	switch value := value.(type) {
	case string:
		for _, m := range canary.Find(value) {
			found(id, m)
		}
	case []any:
		for _, inner := range value {
			walkCanaries(inner, idField, id, found)
		}
	case map[string]any:
		if own := idText(value[idField]); own != "" {
			id = own
		}
		for _, inner := range value {
			walkCanaries(inner, idField, id, found)
		}
	}
}

// idText is an id in JSON, a string or a number, as text; empty if it is neither.
func idText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	}
	return ""
}

// decodeJSON returns the JSON value of a body; nil if there is none.
func decodeJSON(body []byte) (value any) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // an id of many digits must not be rounded
	if decoder.Decode(&value) != nil {
		return nil
	}
	return value
}

// containsOtherID reports whether a JSON value contains an object with another id.
func containsOtherID(value any, idField, id string) bool {
	contains := func(inner any) bool { return containsOtherID(inner, idField, id) }
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, contains)
	case map[string]any:
		other := idText(value[idField])
		return other != "" && other != id || slices.ContainsFunc(slices.Collect(maps.Values(value)), contains)
	}
	return false
}
