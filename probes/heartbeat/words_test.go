package heartbeat

import (
	"fmt"
	"testing"
)

// TestParseCron_words: the words of crontab(5) stand for the lines that its manual names.
func TestParseCron_words(t *testing.T) {
	for word, line := range map[string]string{
		"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
		"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
	} {
		got, err := parseCron(word)
		want, wrong := parseCron(line)
		if err != nil || wrong != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, %v, expected %v", word, got, err, want)
		}
	}
}
