package importer

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"prober/internal/probe"
)

var (
	variable  = regexp.MustCompile(`(^|[^$])\$(\{|[A-Za-z_])`)
	condition = regexp.MustCompile(`^\s*(.+?)\s+(==|!=|<=|>=|<|>)\s+(.*?)\s*$`)
	bodyPath  = regexp.MustCompile(`^\[BODY\](.*)$`)
	function  = regexp.MustCompile(`^(len|has)\((.*)\)$`)
	// secretValue is a value of a response that nobody writes into a file.
	secretValue = regexp.MustCompile(`(?i)(token|secret|passw|api.?key|credential)`)
	argument    = regexp.MustCompile(`^(pat|any)\((.*)\)$`)
)

// readConditions translates what must hold. It says whether an error is expected, and whether a redirect is.
func (s *source) readConditions(e *mapping, kind string, encrypted bool) (refusal, redirected bool) {
	var statuses [600]bool
	for code := 200; code < 600; code++ {
		statuses[code] = true
	}
	given, message := false, &mapping{}
	for i, text := range s.texts("conditions") {
		c := condition.FindStringSubmatch(text)
		if c == nil || len(text) > maxCondition || variable.MatchString(text) {
			s.without(e, "conditions["+strconv.Itoa(i)+"]", "is not understood here")
			continue
		}
		left, op, right := c[1], c[2], strings.ReplaceAll(c[3], "$$", "$")
		why := ""
		switch {
		case left == "[STATUS]" && kind == "http":
			given = true
			narrow(statuses[:], op, right)
		case left == "[CONNECTED]" && op == "==" && right == "true": // always asked
		case left == "[RESPONSE_TIME]":
			why = limit(e, "latency", op, right, "<", time.Millisecond)
		case left == "[CERTIFICATE_EXPIRATION]" && encrypted:
			why = limit(e, "certificate", op, right, ">", time.Millisecond)
		case strings.Contains(left, "[BODY]") && secretValue.MatchString(left) && !function.MatchString(left):
			why = "looks secret; expect that it is there, by json"
		case strings.Contains(left, "[BODY]") && kind == "http":
			why = bodyCondition(e, left, op, right)
		case left == "[DNS_RCODE]" && kind == "dns" && op == "==" && rcode.MatchString(right):
			e.in("expect").set("rcode", []any{right})
			refusal = refusal || right != "NOERROR"
		case left == "[BODY]" && kind == "dns" && op == "==" && right != "":
			records := e.in("expect").in("answer")
			all, _ := records.get("match").([]any)
			records.set("match", append(all, `\s`+strings.TrimPrefix(alternatives(right), "(?s)^")))
		case strings.Contains(left, "[BODY]") && kind == "websocket":
			why = bodyCondition(message, left, op, right)
		default:
			why = noEquivalent
		}
		if why != "" {
			if !strings.Contains(left, "[") { // a value that is on the left may be secret
				left, op = "conditions["+strconv.Itoa(i)+"]", ""
			}
			s.without(e, strings.TrimSpace("condition "+left+" "+op), why)
		}
	}
	s.expectMessage(e, message)
	if refusal {
		s.ask(e, "control", "a refusal alone proves nothing: name a record that must be there, see docs/kinds/dns.md")
		return false, false
	}
	if !given {
		if kind == "http" {
			e.note("status: any passes there, 2xx here")
		}
		return false, false
	}
	return s.writeStatuses(e, statuses[:])
}

// rcode is a response code of DNS.
var rcode = regexp.MustCompile(`^[A-Z]{5,8}$`)

// expectMessage writes what a message of a WebSocket must be, behind the one that is sent.
func (s *source) expectMessage(m, message *mapping) {
	if len(message.entries) == 0 {
		return
	}
	step, steps := &mapping{}, []*mapping(nil)
	if sent, ok := m.get("dialogue").([]*mapping); ok {
		steps = sent
	}
	switch {
	case message.onlyRefuses():
		s.without(m, "conditions on [BODY]", "any other message would meet them")
		return
	case message.has("json"):
		step.set("json", message.get("json"))
		if message.has("body") {
			s.without(m, "condition [BODY]", "a message is compared as JSON or as text")
		}
	default:
		step.set("expect", message.get("body"))
	}
	m.set("dialogue", append(steps, step))
}

// writeStatuses writes the statuses that meet all conditions, whole hundreds as such.
func (s *source) writeStatuses(e *mapping, statuses []bool) (refusal, redirected bool) {
	var all []any
	for hundred := 200; hundred < 600; hundred += 100 {
		var some []any
		for code := hundred; code < hundred+100; code++ {
			if statuses[code] {
				some = append(some, plain(strconv.Itoa(code)))
			}
		}
		if len(some) == 100 {
			some = []any{plain(strconv.Itoa(hundred/100) + "xx")}
		}
		all = append(all, some...)
		refusal, redirected = refusal || hundred >= 400 && len(some) > 0, redirected || hundred == 300 && len(some) > 0
	}
	switch n := len(all); {
	case n == 0 || n > 20:
		s.ask(e, "status", "name the statuses; the conditions leave "+strconv.Itoa(n))
		return false, redirected
	case n == 1:
		e.set("status", all[0])
	default:
		e.set("status", all)
	}
	return refusal, redirected
}

// maxCondition bounds a condition, in bytes.
const maxCondition = 1000

// narrow leaves the statuses that meet a condition.
func narrow(statuses []bool, op, right string) {
	texts := regexp.MustCompile(alternatives(right))
	n, err := strconv.Atoi(right)
	for code, left := range statuses {
		if !left {
			continue
		}
		switch op {
		case "==":
			left = texts.MatchString(strconv.Itoa(code))
		case "!=":
			left = !texts.MatchString(strconv.Itoa(code))
		case "<":
			left = err == nil && code < n
		case "<=":
			left = err == nil && code <= n
		case ">":
			left = err == nil && code > n
		case ">=":
			left = err == nil && code >= n
		}
		statuses[code] = left
	}
}

// alternatives is an expression for what any(...), pat(...) or a text stands for.
func alternatives(right string) string {
	parts := []string{right}
	if f := argument.FindStringSubmatch(right); f != nil && f[1] == "any" {
		parts = strings.Split(f[2], ",")
	}
	for i, p := range parts {
		p = strings.TrimSpace(p)
		if f := argument.FindStringSubmatch(p); f != nil && f[1] == "pat" {
			parts[i] = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(strings.TrimSpace(f[2])))
		} else {
			parts[i] = regexp.QuoteMeta(p)
		}
	}
	return "(?s)^(?:" + strings.Join(parts, "|") + ")$"
}

// limit writes a duration, which is a number of a unit or has its own. It says why not, if it does not.
func limit(e *mapping, key, op, right, direction string, unit time.Duration) string {
	d, err := time.ParseDuration(right)
	if n, notInt := strconv.Atoi(right); notInt == nil && n < 1e9 {
		d, err = time.Duration(n)*unit, nil
	}
	switch {
	case err != nil || d <= 0 || strings.TrimSuffix(op, "=") != direction:
		return noEquivalent
	case e.has(key):
		return "a second condition of the same kind"
	case key == "certificate":
		e.in(key).set("fail", plain(probe.Duration(d).String()))
	default:
		e.set(key, plain(probe.Duration(d).String()))
	}
	return ""
}

// bodyCondition writes what the body, or a value in its JSON, must be. It says why not, if it does not.
func bodyCondition(e *mapping, left, op, right string) string {
	name := ""
	if f := function.FindStringSubmatch(left); f != nil {
		name, left = f[1], f[2]
	}
	p := bodyPath.FindStringSubmatch(left)
	if p == nil || strings.Contains(right, "[BODY]") || strings.Contains(right, "[CONTEXT]") {
		return "compares two values of the response"
	}
	path, ok := jsonPath(p[1])
	if !ok {
		return "the path is not understood here"
	}
	rules := &mapping{}
	if name == "" && path == "$" {
		rules, _ = e.get("body").(*mapping)
	} else if all, ok := e.get("json").(*mapping); ok {
		rules, _ = all.get(path).(*mapping)
	}
	if rules == nil {
		rules = &mapping{}
	}
	target := rules
	switch {
	case name == "has" && op == "==" && right == "false":
		target = &mapping{}
		target.set("absent", true)
		if len(rules.entries) > 0 {
			return "contradicts another condition"
		}
		rules = target
	case name == "has":
		return "expect a value there instead"
	case name == "len":
		target = &mapping{}
		if why := compare(target, op, right); why != "" || len(rules.entries) > 0 || target.has("match") || target.has("not_match") {
			return noEquivalent
		}
		if v, equal := target.get("equals").(string); equal {
			rules.set("length", plain(v))
		} else {
			rules.set("length", target)
		}
	default:
		if why := compare(rules, op, right); why != "" {
			return why
		}
	}
	if name == "" && path == "$" {
		e.set("body", rules)
	} else {
		e.in("json").set(path, rules)
	}
	return ""
}

// compare adds a comparison to what a value must be.
func compare(rules *mapping, op, right string) string {
	f := argument.FindStringSubmatch(right)
	key, v := "", any(right)
	n, err := strconv.Atoi(right)
	switch {
	case right == "" || right == `""`:
		return "the empty text proves nothing"
	case op == "!=":
		key, v = "not_match", alternatives(right)
	case op == "==" && f == nil:
		key = "equals"
	case op == "==":
		key, v = "match", alternatives(right)
		if inner := strings.TrimSuffix(strings.TrimPrefix(f[2], "*"), "*"); f[1] == "pat" && f[2] == "*"+inner+"*" && inner != "" && !strings.ContainsAny(inner, "*?") {
			key, v = "contains", inner
		}
	case err != nil:
		return "is no whole number"
	case op == ">":
		key, v = "min", plain(strconv.Itoa(n+1))
	case op == ">=":
		key, v = "min", plain(right)
	case op == "<":
		key, v = "max", plain(strconv.Itoa(n-1))
	default:
		key, v = "max", plain(right)
	}
	if expr, ok := v.(string); ok && strings.HasSuffix(key, "match") && regexp.MustCompile(expr).MatchString("") {
		return "matches the empty text too, so it proves nothing"
	}
	if rules.has(key) || rules.has("absent") || rules.has("equals") || rules.has("length") {
		return "a second condition of the same kind"
	}
	rules.set(key, v)
	return ""
}

var pathPart = regexp.MustCompile(`^(?:\.([^.\[\]'"\\]+)|\[[0-9]{1,6}\])`)

// jsonPath writes a path of gatus as RFC 9535 has it.
func jsonPath(s string) (string, bool) {
	path := "$"
	for s != "" {
		p := pathPart.FindStringSubmatch(s)
		switch {
		case p == nil:
			return "", false
		case p[1] != "" && !labelName.MatchString(p[1]):
			path += "['" + p[1] + "']"
		default:
			path += p[0]
		}
		s = s[len(p[0]):]
	}
	return path, true
}
