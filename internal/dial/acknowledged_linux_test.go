package dial

import (
	"io"
	"net"
	"testing"
)

// What is acknowledged is counted as what is written is: the kernel's count has one more, for the SYN.
func TestAcknowledged(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x := Begin(t.Context(), 1)
	nc, err := New("", nil).DialContext(x.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := Underlying(nc)
	for _, text := range []string{"", "a", "bcdef"} {
		before := c.Written()
		if _, err := io.WriteString(nc, text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(server, make([]byte, len(text))); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(server, "."); err != nil { // acknowledges what was read
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		n, ok := c.Acknowledged()
		if want := before + uint64(len(text)); !ok || n != want || c.Written() != want {
			t.Errorf("after %q: %d bytes acknowledged (known: %v) of %d, want %d", text, n, ok, c.Written(), want)
		}
	}
}
