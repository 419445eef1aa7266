package isolation

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"prober/internal/testenv"
)

// idForms are ids as services make them, with the form that they check before they look for an object.
var idForms = map[string]struct {
	newID func(n int) string
	valid func(id string) bool
}{
	"UUID, version 4":  {func(int) string { return newUUID('4') }, matches(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)},
	"UUID, version 7":  {func(int) string { return "0197a3c2-55" + newUUID('7')[11:] }, matches(`^0[0-9a-f]{7}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$|^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)},
	"UUID in capitals": {func(int) string { return strings.ToUpper(newUUID('4')) }, matches(`^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`)},
	"ULID":             {func(int) string { return "01J9ZK3Q" + pick("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 18) }, matches(`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`)},
	"CUID": {func(n int) string {
		return "cm2x9k4ab" + fmt.Sprintf("%04d", n) + "08jq" + pick("0123456789abcdefghijklmnopqrstuvwxyz", 8)
	}, matches(`^c[0-9a-z]{24}$`)},
	"ObjectId": {func(n int) string { return fmt.Sprintf("6745f0c2a1b2c3d4e5%06x", 0xfffe00+n) }, matches(`^[0-9a-f]{24}$`)},
	"base58":   {func(int) string { return pick("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", 22) }, matches(`^[1-9A-HJ-NP-Za-km-z]{22}$`)},
	"a type": {func(int) string {
		return "inv_" + pick("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 24)
	}, matches(`^inv_[0-9A-Za-z]{24}$`)},
	"a short type": {func(int) string {
		return "rep_" + pick("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 10)
	}, matches(`^rep_[0-9A-Za-z]{10}$`)},
	"a type and mode":     {func(int) string { return "sk_test_" + pick("0123456789abcdef", 16) }, matches(`^sk_test_[0-9a-f]{16}$`)},
	"a type and a number": {func(n int) string { return "inv_" + strconv.Itoa(40+n) }, matches(`^inv_[1-9][0-9]{0,9}$`)},
	"a type, a UUID":      {func(int) string { return "usr_" + newUUID('4') }, matches(`^usr_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)},
	"a number":            {func(n int) string { return strconv.Itoa(4711 + n) }, func(id string) bool { _, err := strconv.ParseInt(id, 10, 32); return err == nil }},
	"a long number":       {func(n int) string { return "17263544" + fmt.Sprintf("%011d", n) }, func(id string) bool { _, err := strconv.ParseInt(id, 10, 64); return err == nil }},
	// Only an id that the service itself made passes this.
	"a check digit": {func(n int) string { return withCheck(fmt.Sprintf("%06x", n*7919)) }, func(id string) bool { return len(id) == 14 && withCheck(id[:6]) == id }},
}

func matches(pattern string) func(string) bool { return regexp.MustCompile(pattern).MatchString }

func withCheck(text string) string {
	return fmt.Sprintf("%s%08x", text, crc32.ChecksumIEEE([]byte(text)))
}

func pick(alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[rand.IntN(len(alphabet))]
	}
	return string(out)
}

func newUUID(version byte) string {
	hex := "0123456789abcdef"
	return pick(hex, 8) + "-" + pick(hex, 4) + "-" + string(version) + pick(hex, 3) + "-" + pick("89ab", 1) + pick(hex, 3) + "-" + pick(hex, 12)
}

// TestOracle_formOfIDs: an API that rejects what is no id of its own is sound, and one that tells another's object from
// none is found all the same.
func TestOracle_formOfIDs(t *testing.T) {
	testenv.WithoutRace(t)
	for name, form := range testenv.Sample(idForms, 6) {
		for _, malformed := range []int{400, 404} { // with another body than for a nonexistent one
			if malformed == 404 && name != "a type" {
				continue
			}
			for _, oracle := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %d, oracle %t", name, malformed, oracle), func(t *testing.T) {
					api := newNotesAPI("header")
					api.newID = func(n int, _ string) string { return form.newID(n) }
					api.intercept = func(w http.ResponseWriter, q *apiRequest, next http.HandlerFunc) {
						switch {
						case q.id != "" && q.op != "" && q.namesOwnOrg() && !form.valid(q.id):
							reply(w, malformed, `{"error":"this is not an id"}`)
						case oracle && q.op == "read" && q.foreign():
							reply(w, 403, `{"error":"not yours"}`)
						default:
							next(w, q.Request)
						}
					}
					want := "pass"
					if oracle {
						want = "oracle@notes/read fail(existence_oracle)"
					}
					expectDecisive(t, api.runProbe(t, "requests: 40", "requests: 4"), want)
					if left := api.list(); len(left) > 0 {
						t.Errorf("expected no notes, got %d", len(left))
					}
				})
			}
		}
	}
}

// TestOracle_byWrites: a denial to change or delete another org's object that differs from that of a nonexistent one tells
// that it exists.
func TestOracle_byWrites(t *testing.T) {
	testenv.WithoutRace(t)
	none := func(op string) func(*apiRequest) bool {
		return func(q *apiRequest) bool { return q.op == op && q.namesOwnOrg() && q.owner == "" }
	}
	for _, op := range []string{"update", "delete"} {
		for name, c := range testenv.Sample(map[string]struct {
			intercept func(http.ResponseWriter, *apiRequest, http.HandlerFunc)
			want      string
		}{
			"denied in other words":          {interceptIf(foreignOperation(op), respondStatus(404)), "oracle@notes/" + op + " fail(existence_oracle)"}, // with another body
			"forbidden":                      {interceptIf(foreignOperation(op), respondStatus(403)), "oracle@notes/" + op + " fail(existence_oracle)"},
			"a nonexistent one is a success": {interceptIf(none(op), respondStatus(200)), "oracle@notes/" + op + " fail(existence_oracle)"},
			"sound":                          {nil, "pass"},
		}, 8) {
			t.Run(op+", "+name, func(t *testing.T) {
				api := newNotesAPI("header")
				api.intercept = c.intercept
				expectDecisive(t, api.runProbe(t, "requests: 40", "requests: 4"), c.want)
				if left := api.list(); len(left) > 0 {
					t.Errorf("expected no notes, got %d", len(left))
				}
			})
		}
	}
}

// TestOracle_nonexistentDenialsDiffer: where two ids that never existed are denied in two ways, the denial of another org's is
// like neither or like both, so that it proves nothing.
func TestOracle_nonexistentDenialsDiffer(t *testing.T) {
	for _, op := range []string{"read", "update", "delete"} {
		t.Run(op, func(t *testing.T) {
			api := newNotesAPI("header")
			var nth atomic.Int32
			api.intercept = interceptIf(func(q *apiRequest) bool { return q.op == op && q.namesOwnOrg() && q.owner == "" }, func(w http.ResponseWriter, _ *http.Request) {
				reply(w, 403+int(nth.Add(1)%2), `{"error":"not found"}`)
			})
			r := api.runProbe(t, "requests: 40", "requests: 4")
			expectDecisive(t, r, "oracle@notes/"+op+" inconclusive(control_failed)")
			if why := r.Decisive().Detail; !strings.Contains(why, "two nonexistent ids are denied differently, got 40") {
				t.Errorf("got %s", why)
			}
		})
	}
}

// TestNonexistentID: made-up ids have the form of the others, without any help of the service, and differ.
func TestNonexistentID(t *testing.T) {
	for name, form := range idForms {
		if name == "a check digit" {
			continue
		}
		known := []string{form.newID(1), form.newID(2), form.newID(3), form.newID(4)}
		made := map[string]bool{}
		for range 50 {
			id := nonexistentID(known[0], known)
			if slices.Contains(known, id) || !form.valid(id) {
				t.Errorf("%s: %s is not an unused id like %v", name, id, known)
			}
			made[id] = true
		}
		if len(made) < 25 {
			t.Errorf("%s: 50 ids are only %d", name, len(made))
		}
	}
}
