package public

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
)

const maxLogo = 64 << 10

// A logo is the picture beside the title.
type logo struct {
	name string // logo and the ending for its type
	kind string // its type
	data []byte
}

// logoTypes are the types of logos, by the ending of the file.
var logoTypes = map[string]string{
	".svg": svgType, ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
}

// readLogo reads a picture whose content is of the type that its name says. An SVG must be a picture and nothing else: who opens
// it by itself would run what is in it.
func readLogo(path string) (*logo, error) {
	ending := strings.ToLower(filepath.Ext(path))
	kind, known := logoTypes[ending]
	if !known {
		return nil, fmt.Errorf("%s: expected a name that ends with .svg, .png, .jpg or .webp", path)
	}
	data, err := readFile(path, maxLogo)
	if err != nil {
		return nil, err
	}
	if kind != svgType {
		if got := http.DetectContentType(data); got != kind {
			return nil, fmt.Errorf("%s: expected %s, got %s", path, kind, got)
		}
	} else if err := checkSVG(data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &logo{name: "logo" + ending, kind: kind, data: data}, nil
}

// drawing are the elements that an SVG may have: those that only draw.
var drawing = strings.Fields(`svg g defs symbol use title desc metadata path rect circle ellipse line polyline polygon text tspan textPath
	linearGradient radialGradient stop clipPath mask pattern marker style filter feGaussianBlur feOffset feBlend feMerge feMergeNode feFlood
	feComposite feColorMatrix feDropShadow switch`)

// namespaces are those of what draws.
var namespaces = []string{"", "http://www.w3.org/2000/svg"}

// checkSVG refuses everything that could run or fetch something.
func checkSVG(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	var texts [][]byte // of the elements that are open: comments and other elements may stand between its parts
	for first := true; ; {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && !first:
			return nil
		case err != nil:
			return errors.New("expected an SVG, which is XML in UTF-8")
		}
		switch t := token.(type) {
		case xml.Directive:
			return errors.New("an SVG with a DOCTYPE is not shown: it could define entities")
		case xml.ProcInst:
			if t.Target != "xml" {
				return errors.New("an SVG with a processing instruction is not shown: it could fetch a style")
			}
		case xml.CharData:
			if n := len(texts); n > 0 {
				texts[n-1] = append(texts[n-1], t...)
			}
		case xml.EndElement:
			last := len(texts) - 1
			if fetches(string(texts[last])) {
				return errors.New("an SVG that names other addresses is not shown")
			}
			texts = texts[:last]
		case xml.StartElement:
			if first && t.Name.Local != "svg" {
				return errors.New("expected an SVG")
			}
			first, texts = false, append(texts, nil)
			if err := checkElement(t); err != nil {
				return err
			}
		}
	}
}

func checkElement(e xml.StartElement) error {
	if !slices.Contains(namespaces, e.Name.Space) || !slices.Contains(drawing, e.Name.Local) {
		return errors.New("an SVG with an element that does more than draw is not shown; save it as plain SVG")
	}
	for _, a := range e.Attr {
		name := strings.ToLower(a.Name.Local)
		switch {
		case a.Name.Space == "xmlns" || name == "xmlns":
		case strings.HasPrefix(name, "on"):
			return errors.New("an SVG with an event handler is not shown")
		case name == "href" || name == "src" || name == "base":
			if !strings.HasPrefix(a.Value, "#") {
				return errors.New("an SVG that names other addresses is not shown")
			}
		case fetches(a.Value):
			return errors.New("an SVG that names other addresses is not shown")
		}
	}
	return nil
}

// fetches reports whether a style or a value could make a browser fetch or run something.
func fetches(value string) bool {
	plain := strings.ToLower(strings.Join(strings.Fields(value), ""))
	for _, word := range []string{"@import", "javascript:", "data:", "expression(", "image-set(", "image(", "src(", `\`} {
		if strings.Contains(plain, word) {
			return true
		}
	}
	for rest := plain; ; {
		at := strings.Index(rest, "url(")
		if at < 0 {
			return false
		}
		rest = strings.TrimLeft(rest[at+len("url("):], `"'`)
		if !strings.HasPrefix(rest, "#") {
			return true
		}
	}
}
