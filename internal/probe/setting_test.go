package probe

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestSettingErrors(t *testing.T) {
	plain := errors.New("cannot be read")
	for _, c := range []struct {
		name string
		err  error
		want []string // path|message
	}{
		{"none", nil, nil},
		{"one", Settingf("want", "expected 1 to %d, got 300", 200), []string{"want|want: expected 1 to 200, got 300"}},
		{"of the probe", Settingf("", "nothing is asked"), []string{"|nothing is asked"}},
		{"joined", errors.Join(Settingf("a", "b"), errors.Join(nil, plain, Settingf("c", "d"))), []string{"a|a: b", "|cannot be read", "c|c: d"}},
		{"below", InSetting("replicas", errors.Join(Settingf("want", "x"), Settingf("", "y"), plain)), []string{"replicas.want|replicas.want: x", "replicas|replicas: y", "replicas|replicas: cannot be read"}},
		{"below an item", InSetting("orgs", InSetting("[1]", Settingf("token", "missing"))), []string{"orgs[1].token|orgs[1].token: missing"}},
		{"wrapped", fmt.Errorf("beside json, %w", Settingf("body", "is one too many")), []string{"body|body: beside json, is one too many"}},
		{"wrapped and joined", fmt.Errorf("first: %w", errors.Join(Settingf("a", "b"))), []string{"a|a: first: b"}},
		{"renamed", InSetting("callers", Renamed("nobody", "anonymous")), []string{"callers.nobody|callers.nobody: was renamed to anonymous"}},
	} {
		var got []string
		for _, e := range SettingErrors(c.err) {
			got = append(got, e.Path+"|"+e.Error())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if err := InSetting("replicas", nil); err != nil {
		t.Errorf("nothing became %v", err)
	}
}
