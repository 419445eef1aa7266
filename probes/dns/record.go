package dns

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A record is one resource record.
type record struct {
	name  string
	typ   dnsmessage.Type
	class dnsmessage.Class
	ttl   uint32
	data  string // as zone files have it
	plain string // of TXT: its strings, joined
	host  string // that the data names, such as the target of a CNAME

	serial, refresh uint32 // of SOA
}

// Types that package dnsmessage has no names for.
const (
	typeDS     dnsmessage.Type = 43
	typeRRSIG  dnsmessage.Type = 46
	typeDNSKEY dnsmessage.Type = 48
	typeTLSA   dnsmessage.Type = 52
	typeCAA    dnsmessage.Type = 257
)

// typeNames are the types that can be asked for by name.
var typeNames = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "NS": dnsmessage.TypeNS, "CNAME": dnsmessage.TypeCNAME, "SOA": dnsmessage.TypeSOA, "PTR": dnsmessage.TypePTR,
	"MX": dnsmessage.TypeMX, "TXT": dnsmessage.TypeTXT, "AAAA": dnsmessage.TypeAAAA, "SRV": dnsmessage.TypeSRV, "NAPTR": 35, "DNAME": 39,
	"DS": typeDS, "SSHFP": 44, "RRSIG": typeRRSIG, "NSEC": 47, "DNSKEY": typeDNSKEY, "NSEC3": 50, "NSEC3PARAM": 51, "TLSA": typeTLSA,
	"CDS": 59, "CDNSKEY": 60, "SVCB": dnsmessage.TypeSVCB, "HTTPS": dnsmessage.TypeHTTPS, "URI": 256, "CAA": typeCAA, "ANY": dnsmessage.TypeALL,
}

// classNames are the classes that can be asked for.
var classNames = map[string]dnsmessage.Class{"IN": dnsmessage.ClassINET, "CH": dnsmessage.ClassCHAOS, "HS": dnsmessage.ClassHESIOD}

// typeOf reads the name of a type, or TYPE and its number (RFC 3597). Zone transfers are none of them: their answers have no end.
func typeOf(name string) (dnsmessage.Type, bool) {
	if number, ok := strings.CutPrefix(name, "TYPE"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		transfer := n == 251 || n == 252
		return dnsmessage.Type(n), err == nil && n > 0 && !transfer
	}
	t, ok := typeNames[name]
	return t, ok
}

func typeName(t dnsmessage.Type) string {
	for name, known := range typeNames {
		if t == known {
			return name
		}
	}
	return "TYPE" + strconv.Itoa(int(t))
}

func className(c dnsmessage.Class) string {
	for name, known := range classNames {
		if c == known {
			return name
		}
	}
	return "CLASS" + strconv.Itoa(int(c))
}

// String is the record as zone files have it, with tabs between its fields.
func (r *record) String() string {
	return strings.Join([]string{escape(r.name), strconv.FormatUint(uint64(r.ttl), 10), className(r.class), typeName(r.typ), r.data}, "\t")
}

// readRecord reads the record whose header was read. What package dnsmessage cannot represent, such as a name with a dot in a label,
// has the text of a type that nobody knows.
func readRecord(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) (record, error) {
	r := record{name: h.Name.String(), typ: h.Type, class: h.Class, ttl: h.TTL}
	known := *p
	raw, err := p.UnknownResource()
	if err != nil || !fits(h.Type, raw.Data) {
		return r, errBroken
	}
	if r.readKnown(&known) {
		return r, nil
	}
	if h.Type == dnsmessage.TypeSOA {
		numbers := raw.Data[len(raw.Data)-20:]
		r.serial, r.refresh = binary.BigEndian.Uint32(numbers), binary.BigEndian.Uint32(numbers[4:])
	}
	r.data = rawText(h.Type, raw.Data)
	return r, nil
}

// fits reports whether data has the form of its type, byte by byte (RFC 1035, section 3.3): package dnsmessage reads on behind its end.
func fits(t dnsmessage.Type, data []byte) bool {
	before, names, after := 0, 1, 0
	switch t {
	case dnsmessage.TypeA:
		before, names = 4, 0
	case dnsmessage.TypeAAAA:
		before, names = 16, 0
	case dnsmessage.TypeCNAME, dnsmessage.TypeNS, dnsmessage.TypePTR:
	case dnsmessage.TypeMX:
		before = 2
	case dnsmessage.TypeSRV:
		before = 6
	case dnsmessage.TypeSOA:
		names, after = 2, 20
	case dnsmessage.TypeTXT:
		names = 0
	default:
		return true
	}
	at := before
	if t == dnsmessage.TypeTXT {
		for at < len(data) {
			at += 1 + int(data[at])
		}
	}
	for range names {
		for at < len(data) && data[at] > 0 && data[at] < 64 {
			at += 1 + int(data[at])
		}
		if at < len(data) && data[at] > 0 { // a pointer ends a name
			if data[at] < 0xc0 {
				return false
			}
			at++
		}
		at++
	}
	return at+after == len(data)
}

// readKnown reads a record of a type that package dnsmessage knows. It reports whether it did.
func (r *record) readKnown(p *dnsmessage.Parser) bool {
	var err error
	switch r.typ {
	case dnsmessage.TypeA:
		var b dnsmessage.AResource
		b, err = p.AResource()
		r.data = netip.AddrFrom4(b.A).String()
	case dnsmessage.TypeAAAA:
		var b dnsmessage.AAAAResource
		b, err = p.AAAAResource()
		r.data = netip.AddrFrom16(b.AAAA).String()
	case dnsmessage.TypeCNAME:
		var b dnsmessage.CNAMEResource
		b, err = p.CNAMEResource()
		r.host = b.CNAME.String()
		r.data = escape(r.host)
	case dnsmessage.TypeNS:
		var b dnsmessage.NSResource
		b, err = p.NSResource()
		r.host = b.NS.String()
		r.data = escape(r.host)
	case dnsmessage.TypePTR:
		var b dnsmessage.PTRResource
		b, err = p.PTRResource()
		r.data = escape(b.PTR.String())
	case dnsmessage.TypeMX:
		var b dnsmessage.MXResource
		b, err = p.MXResource()
		r.host = b.MX.String()
		r.data = fmt.Sprintf("%d %s", b.Pref, escape(r.host))
	case dnsmessage.TypeSRV:
		var b dnsmessage.SRVResource
		b, err = p.SRVResource()
		r.host = b.Target.String()
		r.data = fmt.Sprintf("%d %d %d %s", b.Priority, b.Weight, b.Port, escape(r.host))
	case dnsmessage.TypeTXT:
		var b dnsmessage.TXTResource
		b, err = p.TXTResource()
		r.plain, r.data = strings.Join(b.TXT, ""), quoteAll(b.TXT)
	case dnsmessage.TypeSOA:
		var b dnsmessage.SOAResource
		b, err = p.SOAResource()
		r.serial, r.refresh = b.Serial, b.Refresh
		r.data = fmt.Sprintf("%s %s %d %d %d %d %d", escape(b.NS.String()), escape(b.MBox.String()), b.Serial, b.Refresh, b.Retry, b.Expire, b.MinTTL)
	default:
		return false
	}
	return err == nil
}

// rawText is the data of a record as zone files have it, in the form of an unknown type (RFC 3597) unless it is a simple one.
func rawText(t dnsmessage.Type, data []byte) string {
	switch {
	case t == typeCAA && len(data) > 2 && 2+int(data[1]) <= len(data):
		tag, value := data[2:2+data[1]], data[2+data[1]:]
		return fmt.Sprintf("%d %s %s", data[0], escape(string(tag)), quoteAll([]string{string(value)}))
	case t == typeDS && len(data) > 4:
		return fmt.Sprintf("%d %d %d %X", binary.BigEndian.Uint16(data), data[2], data[3], data[4:])
	case t == typeTLSA && len(data) > 3:
		return fmt.Sprintf("%d %d %d %X", data[0], data[1], data[2], data[3:])
	}
	return strings.TrimSpace(fmt.Sprintf(`\# %d %s`, len(data), strings.ToUpper(hex.EncodeToString(data))))
}

// escape writes bytes that are no text, and spaces, as zone files do.
func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case c <= ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		var b strings.Builder
		for _, c := range []byte(text) {
			switch {
			case c == '"' || c == '\\':
				b.Write([]byte{'\\', c})
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, `\%03d`, c)
			default:
				b.WriteByte(c)
			}
		}
		quoted[i] = `"` + b.String() + `"`
	}
	return strings.Join(quoted, " ")
}

// is reports whether the data are those that somebody wrote down. The case of names, their last dot and the forms of an address make
// no difference; those of texts do.
func (r *record) is(want string) bool {
	if r.typ == dnsmessage.TypeTXT || r.typ == typeCAA {
		return want == r.data || r.typ == dnsmessage.TypeTXT && want == r.plain
	}
	return normal(want) == normal(r.data)
}

func normal(data string) string {
	if ip, err := netip.ParseAddr(data); err == nil {
		return ip.Unmap().String()
	}
	words := strings.Fields(lower(data))
	for i, word := range words {
		if word != "." {
			words[i] = strings.TrimSuffix(word, ".")
		}
	}
	return strings.Join(words, " ")
}

// maxRefresh bounds how long a zone can allow its name servers to differ.
const maxRefresh = 24 * time.Hour

// lag is how long a name server may have an old serial by the SOA of the zone.
func (r *record) lag() time.Duration { return min(time.Duration(r.refresh)*time.Second, maxRefresh) }

// newer reports whether a serial number is after another one (RFC 1982).
func newer(a, b uint32) bool { return int32(a-b) > 0 }

// dataOf are the data of records in an order that does not depend on theirs.
func dataOf(records []record) []string {
	all := make([]string, len(records))
	for i := range records {
		all[i] = normal(records[i].data)
		if records[i].plain != "" {
			all[i] = records[i].data
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
