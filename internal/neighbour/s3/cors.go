package s3

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
)

type corsRule struct {
	ID      string   `xml:"ID"      json:",omitempty"`
	Origins []string `xml:"AllowedOrigin"`
	Methods []string `xml:"AllowedMethod"`
	Headers []string `xml:"AllowedHeader" json:",omitempty"`
	Expose  []string `xml:"ExposeHeader"  json:",omitempty"`
	MaxAge  *int     `xml:"MaxAgeSeconds" json:",omitempty"`
}

type corsDocument struct {
	XMLName xml.Name   `xml:"CORSConfiguration"`
	Rules   []corsRule `xml:"CORSRule"`
}

const maxRules = 100

func (c *corsDocument) check() error {
	if len(c.Rules) == 0 || len(c.Rules) > maxRules {
		return fail(errMalformedXML)
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		if len(r.Origins) == 0 || len(r.Methods) == 0 || len(r.ID) > 255 {
			return fail(errMalformedXML)
		}
		for _, m := range r.Methods {
			if !slices.Contains([]string{"GET", "PUT", "POST", "DELETE", "HEAD"}, m) {
				return say(errInvalidRequest, "Found unsupported HTTP method in CORS config. Unsupported method is "+m)
			}
		}
		for _, o := range r.Origins {
			if strings.Count(o, "*") > 1 {
				return say(errInvalidRequest, `AllowedOrigin "`+o+`" can not have more than one wildcard.`)
			}
		}
		for _, h := range r.Headers {
			if strings.Count(h, "*") > 1 {
				return say(errInvalidRequest, `AllowedHeader "`+h+`" can not have more than one wildcard.`)
			}
		}
		for _, h := range r.Expose {
			if strings.Contains(h, "*") {
				return say(errInvalidRequest, `ExposeHeader "`+h+`" contains wildcard. We currently do not support wildcard for ExposeHeader.`)
			}
			if strings.ContainsFunc(h, func(c rune) bool { return c <= ' ' || c > '~' || c == ':' }) {
				return fail(errMalformedXML)
			}
		}
	}
	return nil
}

// wild matches a pattern with at most one star.
func wild(pattern, s string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}

func (r *corsRule) covers(origin, method string, headers []string) bool {
	if !slices.Contains(r.Methods, method) || !slices.ContainsFunc(r.Origins, func(p string) bool { return wild(p, origin) }) {
		return false
	}
	for _, h := range headers {
		if !slices.ContainsFunc(r.Headers, func(p string) bool { return wild(strings.ToLower(p), h) }) {
			return false
		}
	}
	return true
}

// allowOrigin adds the headers that let a browser's script see the answer.
func (x *request) allowOrigin() {
	origin := x.R.Header.Get("Origin")
	if origin == "" || x.R.Method == http.MethodOptions {
		return
	}
	for i := range x.bucket.CORS {
		if r := &x.bucket.CORS[i]; r.covers(origin, x.R.Method, nil) {
			x.crossOrigin(r, origin)
			return
		}
	}
}

func (x *request) crossOrigin(r *corsRule, origin string) {
	h := x.w.Header()
	if slices.Contains(r.Origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(r.Methods, ", "))
	if len(r.Expose) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(r.Expose, ", "))
	}
	if r.MaxAge != nil {
		h.Set("Access-Control-Max-Age", itoa(*r.MaxAge))
	}
	h.Add("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
}

// preflight answers a browser that asks whether it may.
func (x *request) preflight() error {
	h := x.R.Header
	origin, method := h.Get("Origin"), h.Get("Access-Control-Request-Method")
	if origin == "" {
		return say(errBadRequest, "Insufficient information. Origin request header needed.")
	}
	if !slices.Contains([]string{"GET", "PUT", "POST", "DELETE", "HEAD"}, method) {
		return say(errBadRequest, "Invalid Access-Control-Request-Method: "+method)
	}
	if len(x.bucket.CORS) == 0 {
		return say(errCORSForbidden, "CORSResponse: CORS is not enabled for this bucket.", "Method", method, "ResourceType", "BUCKET")
	}
	var asked []string
	for _, name := range strings.Split(h.Get("Access-Control-Request-Headers"), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			if strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == ':' }) {
				return say(errBadRequest, "Access-Control-Request-Headers is not valid.")
			}
			asked = append(asked, name)
		}
	}
	for i := range x.bucket.CORS {
		r := &x.bucket.CORS[i]
		if !r.covers(origin, method, asked) {
			continue
		}
		x.crossOrigin(r, origin)
		if len(asked) > 0 {
			x.w.Header().Set("Access-Control-Allow-Headers", strings.Join(asked, ", "))
		}
		return x.empty(http.StatusOK)
	}
	return fail(errCORSForbidden, "Method", method, "ResourceType", "OBJECT")
}

func (x *request) getCORS() error {
	if len(x.bucket.CORS) == 0 {
		return fail(errNoSuchCORS, "BucketName", x.name)
	}
	var d document
	d.begin("CORSConfiguration", true)
	for i := range x.bucket.CORS {
		r := &x.bucket.CORS[i]
		d.begin("CORSRule", false)
		d.maybe("ID", r.ID)
		for _, l := range []struct {
			name   string
			values []string
		}{{"AllowedHeader", r.Headers}, {"AllowedMethod", r.Methods}, {"AllowedOrigin", r.Origins}, {"ExposeHeader", r.Expose}} {
			for _, v := range l.values {
				d.text(l.name, v)
			}
		}
		if r.MaxAge != nil {
			d.number("MaxAgeSeconds", int64(*r.MaxAge))
		}
		d.end("CORSRule")
	}
	d.end("CORSConfiguration")
	return x.answer(&d)
}

func (x *request) putCORS() error {
	c, err := read[corsDocument](x, maxDocument)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	return x.put(http.StatusOK, func(s *settings) { s.CORS = c.Rules })
}

func (x *request) deleteCORS() error {
	return x.put(http.StatusNoContent, func(s *settings) { s.CORS = nil })
}
