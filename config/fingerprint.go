package config

import (
	"hash/maphash"
	"reflect"

	"prober/internal/probe"
)

// fingerprint hashes a probe's settings, in whatever fields they are kept: equal settings have equal prints.
func fingerprint(seed maphash.Seed, p probe.Probe) uint64 {
	return imprint(seed, reflect.ValueOf(p), 0)
}

// deepest bounds how far a print goes into values that refer to themselves.
const deepest = 32

func imprint(seed maphash.Seed, v reflect.Value, depth int) (sum uint64) {
	if depth > deepest || !v.IsValid() {
		return 0
	}
	mix := func(x uint64) { sum = maphash.Comparable(seed, [2]uint64{sum, x}) }
	switch v.Kind() {
	case reflect.String:
		return maphash.String(seed, v.String())
	case reflect.Bool:
		return maphash.Comparable(seed, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return maphash.Comparable(seed, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return maphash.Comparable(seed, v.Uint())
	case reflect.Float32, reflect.Float64:
		return maphash.Comparable(seed, v.Float())
	case reflect.Pointer, reflect.Interface:
		return imprint(seed, v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			mix(imprint(seed, v.Index(i), depth+1))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			mix(imprint(seed, v.Field(i), depth+1))
		}
	case reflect.Map: // in no order
		for key, value := range v.Seq2() {
			sum += maphash.Comparable(seed, [2]uint64{imprint(seed, key, depth+1), imprint(seed, value, depth+1)})
		}
	}
	return sum
}
