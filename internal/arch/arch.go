// Package arch holds no program: its tests check what the code as a whole promises and no compiler looks at. Who may
// import whom, what is never written, what lies at the top of the repository, how big the binary is, and how little
// the shipped manifests may do.
package arch
