package probe

import (
	"strings"
	"testing"
)

// TestOwn: the reasons that begin with self_ lie with the prober, and no other does.
func TestOwn(t *testing.T) {
	t.Parallel()
	for _, why := range CommonReasons {
		if why.Own() != strings.HasPrefix(why.Word, "self_") || why.Own() && why.Verdict != Inconclusive {
			t.Errorf("%s: of the prober itself: %t", why.Word, why.Own())
		}
	}
}
