package expect

import (
	"errors"
	"iter"
	"math"
	"slices"
	"unicode/utf8"

	"prober/internal/jsonpath"
	"prober/internal/probe"
	"prober/internal/text"
)

// ofList reports whether the conditions are about a list as a whole.
func (m Match) ofList() bool { return m.Every != nil || m.Any != nil || m.Length != nil }

// validateList reports what is wrong with the conditions on a list.
func (m Match) validateList() error {
	if !m.ofList() {
		return nil
	}
	var wrong []error
	if one := (Match{Every: m.Every, Any: m.Any, Length: m.Length}); m != one {
		wrong = append(wrong, probe.Settingf("", "every, any and length are about a list, which leaves nothing else to expect"))
	}
	for key, item := range map[string]*Match{"every": m.Every, "any": m.Any} {
		switch {
		case item == nil:
		case item.ofList() || item.Absent:
			wrong = append(wrong, probe.Settingf(key, "expected what one item must be"))
		default:
			wrong = append(wrong, probe.InSetting(key, item.Validate()))
		}
	}
	if m.Length == nil {
		return errors.Join(wrong...)
	}
	lowest, highest, ok := m.Length.lengths()
	switch {
	case !ok:
		wrong = append(wrong, probe.Settingf("length", "expected a whole number, or min and max"))
	case lowest > highest:
		wrong = append(wrong, probe.Settingf("length", "min is above max, so nothing can be within"))
	case highest == 0 && (m.Every != nil || m.Any != nil):
		wrong = append(wrong, probe.Settingf("length", "every and any fail of an empty list, so nothing can match"))
	}
	return errors.Join(wrong...)
}

// lengths returns the lengths that are allowed; ok is false if the condition is not about one.
func (m Match) lengths() (lowest, highest float64, ok bool) {
	if m == (Match{}) || m != (Match{Equals: m.Equals, Min: m.Min, Max: m.Max}) || m.Equals != nil && m != (Match{Equals: m.Equals}) {
		return 0, 0, false
	}
	lowest, highest = 0, math.MaxInt32
	if m.Equals != nil {
		n, number := jsonpath.ParseNumber(*m.Equals)
		lowest, highest, ok = n, n, number
	} else {
		ok = true
	}
	if m.Min != nil {
		lowest = *m.Min
	}
	if m.Max != nil {
		highest = *m.Max
	}
	whole := func(n float64) bool { return n >= 0 && n == math.Trunc(n) }
	return lowest, highest, ok && whole(lowest) && whole(highest)
}

// onlyEmpty reports whether nothing but an empty list has the length.
func (m Match) onlyEmpty() bool {
	if m.Length == nil {
		return false
	}
	_, highest, ok := m.Length.lengths()
	return ok && highest == 0
}

// describeList says what is expected of a list, for a sentence.
func (m Match) describeList() (want []string) {
	if m.Every != nil {
		want = append(want, "every item to be "+m.Every.String())
	}
	if m.Any != nil {
		want = append(want, "an item to be "+m.Any.String())
	}
	if m.Length != nil {
		length := m.Length.String()
		if m.Length.Equals != nil {
			length = *m.Length.Equals
		}
		want = append(want, "a length of "+length)
	}
	return want
}

// checkList compares a list with what is expected of it: the array at a path that leads to one value, or else the values that the
// path finds.
func (m Match) checkList(path jsonpath.Path, doc jsonpath.Document) probe.Outcome {
	found := path.Find(doc)
	if len(found) == 0 {
		return probe.Outcomef(probe.Schema, "%s: expected %s, got nothing", path, m)
	}
	items, n := slices.Values(found), len(found)
	if path.Singular() {
		list := found[0]
		items = list.Items()
		switch kind := list.Kind(); {
		case kind == "string" && m.Every == nil && m.Any == nil:
			n = utf8.RuneCountInString(list.Text())
		case kind == "array", kind == "object" && m.Every == nil && m.Any == nil:
			n = list.Len()
		default:
			return probe.Outcomef(probe.Schema, "%s: expected %s, got no list", path, m)
		}
	}
	if m.Length != nil {
		if lowest, highest, _ := m.Length.lengths(); float64(n) < lowest || float64(n) > highest {
			return probe.Outcomef(probe.Body, "%s: expected %s, got %d", path, Match{Length: m.Length}, n)
		}
	}
	if n == 0 && (m.Every != nil || m.Any != nil) {
		return probe.Outcomef(probe.Body, "%s: expected %s, got an empty list, which proves nothing", path, m)
	}
	if m.Every != nil {
		if o := m.Every.checkEvery(path, items, n); !o.Passed() {
			return o
		}
		if lacking := path.Lacking(doc); lacking > 0 && !path.Singular() {
			return probe.Outcomef(probe.Schema, "%s: expected %s, got nothing for %d of %s", path, m, lacking, text.Count(n+lacking, "item"))
		}
	}
	if m.Any != nil {
		return m.Any.checkAny(path, items, n)
	}
	return probe.Outcome{Reason: probe.OK}
}

func (m Match) checkEvery(path jsonpath.Path, items iter.Seq[jsonpath.Value], n int) probe.Outcome {
	at, read := 0, 0
	for v := range items {
		at++
		read += len(v.Text())
		if limit := m.limit(read); limit != "" {
			return probe.Outcomef(probe.SelfLimit, "%s: %s", path, limit)
		}
		if !m.MatchValue(v) {
			return probe.Outcomef(probe.Body, "%s: expected every item to be %s, got %s (item %d of %d)", path, m, shown(v), at, n)
		}
	}
	return probe.Outcome{Reason: probe.OK}
}

func (m Match) checkAny(path jsonpath.Path, items iter.Seq[jsonpath.Value], n int) probe.Outcome {
	none := probe.Outcomef(probe.Body, "%s: expected an item to be %s, got none among %s", path, m, text.Count(n, "item"))
	read := 0
	for v := range items {
		read += len(v.Text())
		if limit := m.limit(read); limit != "" {
			return probe.Outcomef(probe.SelfLimit, "%s: %s", path, limit)
		}
		if m.MatchValue(v) {
			return probe.Outcome{Reason: probe.OK}
		}
	}
	return none
}
