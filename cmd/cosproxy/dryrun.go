package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"cosproxy/proxy"
	"cosproxy/signer"
)

// outcome is what the proxy made of a request that was not sent.
type outcome struct {
	sent    *http.Request // as it would have left; nil if refused
	refusal string        // code and message of the proxy's own answer

	// From the proxy's log.
	Route, Key, Action, Error string
	Status                    int
}

// dryRun puts r through a proxy with these options, up to where it would leave
// for COS.
func dryRun(r *http.Request, options proxy.Options, creds signer.Credentials, now time.Time) (outcome, error) {
	var o outcome
	var log bytes.Buffer
	for i := range options.Routes {
		options.Routes[i].Credentials = fixedKey(creds)
	}
	options.Transport = unsent{&o.sent}
	options.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	options.Now = func() time.Time { return now }
	p, err := proxy.New(options)
	if err != nil {
		return o, err
	}
	p.ServeHTTP(discarded{}, r)
	if err := json.Unmarshal(log.Bytes(), &o); err != nil {
		return o, fmt.Errorf("the proxy's log line cannot be read: %w", err)
	}
	if o.sent == nil {
		o.refusal = o.Error
	}
	return o, nil
}

// unsent is the transport of a dry run: it keeps the request.
type unsent struct{ request **http.Request }

func (u unsent) RoundTrip(r *http.Request) (*http.Response, error) {
	*u.request = r.WithContext(context.WithoutCancel(r.Context())) // which ends with the dry run
	return nil, errors.New("a dry run sends nothing")
}

// anyBody stands in for a body, of which only the length is signed.
type anyBody struct{}

func (anyBody) Read(p []byte) (int, error) { return len(p), nil }

// discarded is an answer that nobody reads.
type discarded http.Header

func (d discarded) Header() http.Header       { return http.Header(d) }
func (discarded) Write(p []byte) (int, error) { return len(p), nil }
func (discarded) WriteHeader(int)             {}

// fixedKey hands out one key.
type fixedKey signer.Credentials

func (k fixedKey) Credentials(context.Context) (signer.Credentials, error) {
	return signer.Credentials(k), nil
}

func (fixedKey) Accepted(string) {}

func (fixedKey) Invalidate(string, bool) bool { return false }

func (fixedKey) Replacement(context.Context, string) (signer.Credentials, bool) {
	return signer.Credentials{}, false
}

// describe writes what became of r.
func (o outcome) describe(w io.Writer, r *http.Request) {
	fmt.Fprintf(w, "To COS:            %s %s\n", o.sent.Method, o.sent.URL)
	switch {
	case o.Route == noRoute:
		fmt.Fprintln(w, "Route:             none of the settings")
	case o.Key == "":
		fmt.Fprintf(w, "Route:             %s, the bucket itself, %s\n", o.Route, o.Action)
	default:
		fmt.Fprintf(w, "Route:             %s, object key %s, %s\n", o.Route, signer.Redact(o.Key), o.Action)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		// Those that cosproxy sets are in sent.Header too, but not the client's.
		if _, kept := o.sent.Header[name]; !kept || name == "Authorization" || name == "X-Cos-Security-Token" || name == "Via" {
			fmt.Fprintf(w, "Not sent:          %s: cosproxy keeps it from COS\n", signer.Redact(name))
		}
	}
	sent := o.sent.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if !sent.Has(name) && !isSignatureParameter(name) {
			fmt.Fprintf(w, "Not sent:          parameter %s: COS does not document it, so cosproxy removes it\n", signer.Redact(name))
		}
	}
}

// isSignatureParameter reports whether cosproxy replaces a parameter by its own
// signature.
func isSignatureParameter(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "q-") || strings.HasPrefix(name, "x-amz-") || strings.HasSuffix(name, "-security-token") ||
		name == "sign" || name == "signature" || name == "awsaccesskeyid"
}
