package redis

import "testing"

// TestBeginnings: whether a pattern matches any name does not hang on chance.
func TestBeginnings(t *testing.T) {
	t.Parallel()
	for pattern, refused := range map[string]bool{
		"s": false, "a2": false, "Q": false, "z": false, "session:": false, "[abc]": false, `\d{4}:`: false,
		"": true, ".": true, "[a-z]": true, "[A-Z]+": true, `\w`: true, "[0-9]": true, "a|": true,
	} {
		for range 200 {
			if _, err := beginnings("allowed", []string{pattern}); (err != nil) != refused {
				t.Errorf("%q: refused is expected to be %t, got %v", pattern, refused, err)
				break
			}
		}
	}
}
