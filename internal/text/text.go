// Package text writes small things for people.
package text

import "strconv"

// Count says how many there are of a thing: "1 day", "3 days".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}
