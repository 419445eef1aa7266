package rls

import (
	"regexp"
	"strings"
	"testing"

	"prober/internal/testenv"
	"prober/probes/internal/probetest"
)

// What a sound server is told to be, word for word.
func TestVerdicts_sound(t *testing.T) {
	probetest.WantLines(t, runFake(t, (*stage).sound), "pass",
		"connect pass(ok): connected to *",
		"role pass(ok): the role is neither superuser nor owner of what is not forced, has no BYPASSRLS, and cannot become such a role",
		"tables pass(ok): 2 tables in the schema, partitions and those exempt aside",
		"enabled pass(ok): *", "partitions pass(ok): *", "policies pass(ok): *", "write_policies pass(ok): *", "views pass(ok): *",
		"materialized_views pass(ok): *", "functions pass(ok): *",
		"control pass(ok): 2 test orgs see their own rows in 1 table",
		"isolated pass(ok): each org is shown its own rows alone in 2 relations",
		"fail_closed pass(ok): without an org nothing is shown in 2 relations",
		"residue pass(ok): no org and no role is left on a connection: 20 looks, at 1 process of the server",
	)
}

var outcome = regexp.MustCompile(`^(\w+) (fail|inconclusive)(\(\w+\))`)

// Each value that a server says of itself decides what its name says, and nothing else.
func TestVerdicts_oneValue(t *testing.T) {
	const nothing = "control inconclusive(control_failed), isolated inconclusive(control_failed), fail_closed inconclusive(control_failed)"
	const unproven = "isolated inconclusive(control_failed), fail_closed inconclusive(control_failed)"
	for name, test := range map[string]struct {
		stage    string
		row, col int
		value    any
		want     string
	}{
		"row-level security is off":           {"relations", 0, 5, "f", "enabled fail(rls_disabled)"},
		"not active":                          {"relations", 0, 7, "f", "enabled fail(rls_inactive)"},
		"not forced, of another owner":        {"relations", 0, 6, "f", ""},
		"TRUNCATE is granted":                 {"relations", 0, 9, "rawdt", "write_policies fail(truncate_granted)"},
		"the canaries are a child":            {"relations", 0, 13, "2", "tables fail(tables_missing)"},
		"no policy":                           {"policies", 0, 0, "7", "policies inconclusive(no_policy)"},
		"a policy that restricts":             {"policies", 0, 1, "f", "policies inconclusive(no_policy)"},
		"a policy for INSERT alone":           {"policies", 0, 2, "a", "policies inconclusive(no_policy)"},
		"a policy for SELECT alone":           {"policies", 0, 2, "r", ""},
		"a policy for the role":               {"policies", 0, 3, "9", ""},
		"a policy for another role":           {"policies", 0, 3, "7", "policies inconclusive(no_policy)"},
		"a policy without USING":              {"policies", 0, 4, "f", "policies inconclusive(no_policy)"},
		"a policy that looks at nothing":      {"policies", 0, 5, "f", "policies fail(policy_open), write_policies fail(check_open)"},
		"a policy with an open WITH CHECK":    {"policies", 0, 6, "t", "write_policies fail(check_open)"},
		"nobody asks":                         {"roles", 0, 1, "f", "connect fail(protocol)"},
		"a superuser":                         {"roles", 0, 2, "t", "role fail(role_exempt)"},
		"a role with BYPASSRLS":               {"roles", 0, 3, "t", "role fail(role_exempt)"},
		"a role that can become exempt":       {"roles", 0, 4, "t", "role fail(role_exempt)"},
		"a role that reads files":             {"roles", 0, 5, "t", "role fail(role_exempt)"},
		"a role that creates roles":           {"roles", 0, 6, "t", "role fail(role_exempt)"},
		"a role that somebody left":           {"roles", 0, 7, "t", "role fail(role_left)"},
		"an org is left in a connection":      {"pool", 0, 0, "t", "residue fail(org_left)"},
		"a role is left in a connection":      {"pool", 0, 2, "t", "residue fail(role_left)"},
		"an org is left where there was none": {"left", 0, 0, "t", "fail_closed inconclusive(control_failed)"},
		"one row for all orgs":                {"places", 0, 0, "7(0,1)", "isolated fail(leak_list)"},
		"no row of one's own":                 {"own row", 0, 0, "f", nothing},
		"rows of others":                      {"rows of others", 0, 0, "t", "isolated fail(leak_list)"},
		"rows of others, perhaps":             {"rows of others", 0, 0, nil, unproven},
		"a row without an org":                {"any row", 0, 0, "t", "isolated fail(leak_list)"},
		"a row without an org, perhaps":       {"any row", 0, 0, nil, unproven},
		"a row with an org of nobody":         {"any row", 0, 1, "t", "isolated fail(leak_list)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runFake(t, func(now *stage) testenv.PostgresAnswer {
				if now.name != test.stage {
					return now.sound()
				}
				at := -1
				return now.changed(func(row []any) []any {
					if at++; at == test.row {
						row[test.col] = test.value
					}
					return row
				})
			})
			var got []string
			for line := range strings.Lines(probetest.Lines(r)) {
				if m := outcome.FindStringSubmatch(line); m != nil {
					got = append(got, m[1]+" "+m[2]+m[3])
				}
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("got  %s\nwant %s\n%s", strings.Join(got, ", "), test.want, probetest.Lines(r))
			}
		})
	}
}

// An org that does not exist looks like those that do.
func TestNobody(t *testing.T) {
	for name, test := range map[string]struct {
		ids  []string
		want string
	}{
		"numbers":           {[]string{"1", "22"}, `^2147483646$`},
		"UUIDs":             {[]string{"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b811-9dad-11d1-80b4-00c04fd430c8"}, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`},
		"words":             {[]string{"red", "blue"}, `^[a-z0-9-]{10,}$`},
		"a number, a word":  {[]string{"1", "blue"}, `[a-z]`},
		"a UUID and a word": {[]string{"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "blue"}, `^[^-]*$|^([^-]*-){1,3}[^-]*$|^([^-]*-){5,}`},
	} {
		p := &Probe{Orgs: map[string]Org{}}
		for _, id := range test.ids {
			p.Orgs[id] = Org{ID: id}
		}
		if got := p.nobody(); !regexp.MustCompile(test.want).MatchString(got) || got == p.nobody() && name != "numbers" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}
