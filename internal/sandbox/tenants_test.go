package sandbox

import "strings"

// ofTenants reports whether a fault is one of the memories API.
func ofTenants(f Fault) bool { return strings.HasPrefix(f.Name, "tenant-") }
