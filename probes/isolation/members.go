package isolation

import (
	"strings"

	"prober/internal/sorted"
)

// memberTamperings add a member that names the owner's org to the JSON that an intruder sends, at its top and, if the canary is
// in an object within it, also there: frameworks fill in objects from whichever of the two they know.
func (p *Probe) memberTamperings(tmpl *Template, owner string) []mutation {
	if tmpl.JSON == nil {
		return nil
	}
	var all []mutation
	filled, _ := fillJSON(tmpl.JSON, vars{}, mutation{}).(map[string]any)
	nested := objectWithCanary(tmpl.JSON, filled) != nil && !hasCanary(tmpl.JSON)
	for _, member := range p.Overrides.Body {
		all = append(all, mutation{name: "the owner's org as " + member + " in the body", member: member, org: owner})
		if nested {
			all = append(all, mutation{name: "the owner's org as " + member + " beside the text in the body", member: member, beside: true, org: owner})
		}
	}
	return all
}

// addMember adds the mutation's member to a JSON object that was filled in from a template.
func (m mutation) addMember(template, object map[string]any) {
	if m.beside {
		object = objectWithCanary(template, object)
	}
	names := strings.Split(m.member, ".")
	for _, name := range names[:len(names)-1] {
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[name] = inner
		}
		object = inner
	}
	object[names[len(names)-1]] = m.org
}

// objectWithCanary returns the object, within a JSON value that was filled in from a template, that has the canary as a
// member; nil if there is none.
func objectWithCanary(template, filled any) map[string]any {
	switch template := template.(type) {
	case map[string]any:
		object, _ := filled.(map[string]any)
		if hasCanary(template) {
			return object
		}
		for _, name := range sorted.Keys(template) {
			if found := objectWithCanary(template[name], object[name]); found != nil {
				return found
			}
		}
	case []any:
		list, _ := filled.([]any)
		for i, inner := range template {
			if i < len(list) {
				if found := objectWithCanary(inner, list[i]); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

// hasCanary reports whether a text in an object contains the canary.
func hasCanary(object map[string]any) bool {
	for _, value := range object {
		if text, ok := value.(string); ok && strings.Contains(text, "{canary}") {
			return true
		}
	}
	return false
}
