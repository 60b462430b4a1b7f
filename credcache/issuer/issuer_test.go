package issuer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cosproxy/credcache"
	"cosproxy/credcache/issuer"
)

var teamA, teamB = tokens["team-a"], tokens["team-b"]

// The source http of a sidecar and the Issuer work together.
func TestIssuer_SourceHTTP(t *testing.T) {
	r := newRig(t, nil)
	server := httptest.NewServer(r)
	defer server.Close()
	source, err := credcache.NewHTTP(credcache.HTTPOptions{URL: server.URL + issuer.Path, Token: teamA})
	if err != nil {
		t.Fatal(err)
	}
	want := scope("uploads/x/*,a.txt", "read")
	creds, err := source.Fetch(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if creds.SecretID != "AKID-1" || creds.SecretKey != secret+"-key" || creds.Token != secret+"-token" || time.Until(creds.Expires) < 29*time.Minute {
		t.Errorf("got %v", creds)
	}
	if got := r.sts.requested(); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(want.Canonical()) {
		t.Errorf("STS was asked for %v, want %v", got, want.Canonical())
	}
	_, err = source.Fetch(t.Context(), scope("secret/*", "read"))
	var failed *credcache.SourceError
	if !errors.As(err, &failed) || failed.Code != "HTTP 403" || failed.Retryable || !strings.Contains(failed.Message, "ScopeNotAllowed: no route of the caller team-a contains the scope: the prefix secret/* is outside its prefixes") {
		t.Errorf("got %v", err)
	}
}

func TestIssuer_Response(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		got := r.get(teamA, query(scope("a.txt", "read")))
		got.want(t, 200, "")
		want := fmt.Sprintf(`{"credentials":{"tmpSecretId":"AKID-1","tmpSecretKey":"%s-key","sessionToken":"%[1]s-token"},"startTime":%d,"expiredTime":%d}`+"\n",
			secret, time.Now().Unix(), time.Now().Add(30*time.Minute).Unix())
		if got.body != want {
			t.Errorf("got  %s\nwant %s", got.body, want)
		}
		if !slices.Equal(r.observed, []string{"0 200"}) {
			t.Errorf("observed %q", r.observed)
		}
	})
}

func TestIssuer_PathAndMethod(t *testing.T) {
	r := newRig(t, nil)
	ok := query(scope("a.txt", "read"))
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", issuer.Path, 200, ""},
		{"GET", "/", 404, "NotFound"},
		{"GET", issuer.Path + "/", 404, "NotFound"},
		{"GET", "//credentials", 404, "NotFound"},
		{"GET", "/Credentials", 404, "NotFound"},
		{"HEAD", issuer.Path, 405, "MethodNotAllowed"},
		{"POST", issuer.Path, 405, "MethodNotAllowed"},
		{"OPTIONS", issuer.Path, 405, "MethodNotAllowed"},
	} {
		req := httptest.NewRequest(tt.method, "http://issuer"+tt.path+"?"+ok, nil)
		req.Header.Set("Authorization", "Bearer "+teamA)
		got := r.send(req)
		got.want(t, tt.status, tt.code)
		if tt.status == 405 && got.header.Get("Allow") != "GET" {
			t.Errorf("%s: Allow is %q", tt.method, got.header.Get("Allow"))
		}
	}
}

func TestIssuer_Authorization(t *testing.T) {
	r := newRig(t, nil)
	for _, tt := range []struct {
		name   string
		values []string
		status int
	}{
		{"the token", []string{"Bearer " + teamA}, 200},
		{"another case of the scheme", []string{"bearer " + teamA}, 200},
		{"none", nil, 401},
		{"two", []string{"Bearer " + teamA, "Bearer " + teamA}, 401},
		{"two, one wrong", []string{"Bearer x", "Bearer " + teamA}, 401},
		{"empty", []string{"Bearer "}, 401},
		{"no scheme", []string{teamA}, 401},
		{"another scheme", []string{"Basic " + teamA}, 401},
		{"a prefix", []string{"Bearer " + teamA[1:]}, 401},
		{"longer", []string{"Bearer " + teamA + "a"}, 401},
		{"another case of the token", []string{"Bearer " + strings.ToUpper(teamA)}, 401},
		{"the name", []string{"Bearer team-a"}, 401},
		{"too long", []string{"Bearer " + strings.Repeat("a", 20<<10)}, 401},
		{"two spaces", []string{"Bearer  " + teamA}, 401},
		{"another caller", []string{"Bearer " + teamB}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, issuer.Path+"?"+query(scope("a.txt", "read")), nil)
			req.Header["Authorization"] = tt.values
			got := r.send(req)
			got.want(t, tt.status, map[int]string{401: "Unauthenticated", 403: "CallerNotAllowed"}[tt.status])
			if challenge := got.header.Get("WWW-Authenticate"); (challenge != "") != (tt.status == 401) {
				t.Errorf("WWW-Authenticate is %q", challenge)
			}
		})
	}
	if n := len(r.sts.requested()); n != 1 {
		t.Errorf("%d calls of STS, want 1", n)
	}
	if log := r.log.String(); strings.Contains(log, teamA) || strings.Contains(log, teamB) {
		t.Errorf("a token is in the log:\n%s", log)
	}
}

// While the tokens cannot be read, all are rejected, but not as wrong.
func TestIssuer_TokensUnreadable(t *testing.T) {
	r := newRig(t, func(o *issuer.Options) {
		o.Tokens = func() (*issuer.Tokens, error) { return nil, errors.New("it cannot be read") }
	})
	got := r.get(teamA, query(scope("a.txt", "read")))
	got.want(t, 503, "Unavailable")
	if got.header.Get("Retry-After") != "1" || strings.Contains(got.body, "cannot be read") || !strings.Contains(r.log.String(), "it cannot be read") {
		t.Errorf("got %v %s; the log is\n%s", got.header, got.body, r.log.String())
	}
}

func TestIssuer_Parameters(t *testing.T) {
	r := newRig(t, nil)
	const rest = "&bucket=" + bucket + "&region=" + region
	for _, tt := range []struct{ query, says string }{
		{"", "bucket"},
		{"action=read" + rest, "prefix occurs 0 times"},
		{"prefix=a.txt" + rest, "action occurs 0 times"},
		{"action=read&prefix=a.txt&region=" + region, "bucket is missing"},
		{"action=read&prefix=a.txt&bucket=" + bucket, "region is missing"},
		{"action=read&prefix=a.txt&bucket=" + bucket + rest, "bucket is missing or repeated"},
		{"action=read&prefix=a.txt&region=" + region + rest, "region is missing or repeated"},
		{"action=read&prefix=a.txt&bucket=other-1250000000" + rest, "repeated"},
		{"action=read&prefix=a.txt&duration=1" + rest, "unknown parameter duration"},
		{"action=read&prefix=a.txt&Bucket=x" + rest, "unknown parameter Bucket"},
		{"action=read&prefix=a.txt&prefix%00=x" + rest, "unknown parameter"},
		{"action=read&prefix=a.txt&=" + rest, "unknown parameter"},
		{"action=read&prefix=a.txt;x" + rest, "percent-encode"},
		{"action=read&prefix=a%zz" + rest, "percent-encode"},
		{"action=read&prefix=" + rest, "empty prefix"},
		{"action=read&prefix=a.txt&prefix=" + rest, "empty prefix"},
		{"action=&prefix=a.txt" + rest, "unknown action"},
		{"action=name/cos:getobject&prefix=a.txt" + rest, "unknown action"},
		{"action=READ&prefix=a.txt" + rest, "unknown action"},
		{"action=read&action=x&prefix=a.txt" + rest, "unknown action"},
		{"action=read&prefix=uploads/*/a" + rest, "before its end"},
		{"action=read&prefix=uploads/**" + rest, "before its end"},
		{"action=read&prefix=uploads/a+b" + rest, "a blank"},
		{"action=read&prefix=uploads/%00" + rest, "control character"},
		{"action=read&prefix=uploads/%ff" + rest, "not UTF-8"},
		{"action=read&prefix=/uploads/*" + rest, "begins with a slash"},
		{"action=read&prefix=uploads/../secret/*" + rest, "segment . or .."},
		{"action=read&prefix=" + url.QueryEscape("shop/%2e%2e/secret/%*") + rest, "segment . or .."},
		{"action=read&prefix=" + url.QueryEscape("shop/%2E%2e%5csecret/100%") + rest, "segment . or .."},
		{"action=read&prefix=" + url.QueryEscape("shop/%252e%252e/x") + rest, "segment . or .."},
		{"action=read&prefix=" + url.QueryEscape("shop/%%32e%25252E/x") + rest, "segment . or .."},
		{"action=read&prefix=" + url.QueryEscape("shop%2f..%2Fsecret/%") + rest, "segment . or .."},
		{"action=read&prefix=uploads/..%5Csecret/*" + rest, "segment . or .."},
		{"action=read&prefix=uploads/%252e%252e/secret/*" + rest, "segment . or .."},
		{"action=read&prefix=uploads/%252e%252e%252fsecret/*" + rest, "segment . or .."},
		{"action=read&prefix=uploads/./x" + rest, "segment . or .."},
		{"action=read&prefix=uploads/.." + rest, "segment . or .."},
		{"action=read&prefix=a.txt&bucket=EXAMPLE-1250000000&region=" + region, "not a bucket name"},
		{"action=read&prefix=a.txt&bucket=" + bucket + "&region=AP-guangzhou", "not a region"},
		{"action=read&prefix=uploads/" + strings.Repeat("x", 7000) + rest, "CAM accepts 6144"},
		{strings.Repeat("prefix=a.txt&", 257) + "action=read" + rest, "prefix occurs 257 times"},
	} {
		got := r.get(teamA, tt.query)
		got.want(t, 400, "InvalidRequest")
		if !strings.Contains(got.message, tt.says) || len(got.message) > 1000 {
			t.Errorf("%.80s: got %q, want one that says %q", tt.query, got.message, tt.says)
		}
	}
	if n := len(r.sts.requested()); n != 0 {
		t.Errorf("%d calls of STS", n)
	}
}

func TestIssuer_Scopes(t *testing.T) {
	r := newRig(t, func(o *issuer.Options) {
		o.Routes = append(o.Routes,
			issuer.Route{Name: "1", Scope: scope("logs/*", "list"), Callers: []string{"team-a", "team-b"}},
			issuer.Route{Name: "2", Scope: credcache.Scope{Bucket: "other-1250000000", Region: region, AllowPrefixes: []string{"*"}, AllowActions: []string{"*"}}, Callers: []string{"team-b"}})
	})
	for _, tt := range []struct {
		caller, prefixes, actions string
		route, says               string
	}{
		{teamA, "uploads/*,a.txt", "read,upload", "0", ""},
		{teamA, "uploads/*", "read", "0", ""},
		{teamA, "uploads/deep/*,uploads/x.txt,uploads/deep/*", "name/cos:GetObject", "0", ""},
		{teamA, "logs/2026/*", "list", "1", ""},
		{teamB, "logs/*", "list", "1", ""},
		{teamA, "*", "read", "", "the prefix * is outside"},
		{teamA, "uploads/*", "*", "", "the action name/cos:* is not among its actions"},
		{teamA, "uploads/*", "read,delete", "", "the action name/cos:DeleteMultipleObjects is not among its actions"},
		{teamA, "uploads*", "read", "", "the prefix uploads* is outside"},
		{teamA, "Uploads/*", "read", "", "the prefix Uploads/* is outside"},
		{teamA, "uploads%2Fa", "read", "", "the prefix uploads%2Fa is outside"},
		{teamA, "a.txt*", "read", "", "the prefix a.txt* is outside"},
		{teamA, "uploads/*,secret", "read", "", "the prefix secret is outside"},
		{teamA, "logs/*", "read", "", "it needs several routes together"},
		{teamA, "uploads/*,logs/*", "list", "", "it needs several routes together"},
		{teamB, "uploads/*", "read", "", "the prefix uploads/* is outside"},
	} {
		got := r.get(tt.caller, query(scope(tt.prefixes, tt.actions)))
		if r.observed[len(r.observed)-1] != fmt.Sprintf("%s %d", tt.route, got.status) {
			t.Errorf("%s of %s: observed %s, want route %q", tt.actions, tt.prefixes, r.observed[len(r.observed)-1], tt.route)
		}
		if tt.route != "" {
			got.want(t, 200, "")
			continue
		}
		got.want(t, 403, "ScopeNotAllowed")
		if !strings.Contains(got.message, tt.says) {
			t.Errorf("%s of %s: got %q, want one that says %q", tt.actions, tt.prefixes, got.message, tt.says)
		}
	}
	other := scope("a", "read")
	other.Bucket = "other-1250000000"
	got := r.get(teamA, query(other))
	got.want(t, 403, "ScopeNotAllowed")
	if !strings.Contains(got.message, "bucket other-1250000000 in ap-guangzhou is not among them") {
		t.Errorf("got %q", got.message)
	}
	other = scope("a.txt", "read")
	other.Region = "ap-beijing"
	r.get(teamA, query(other)).want(t, 403, "ScopeNotAllowed")
}

// Equal scopes share one fetch and one set of credentials, whatever the callers, the order and
// the spelling.
func TestIssuer_SharedFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *issuer.Options) {
			o.Routes[0].Callers = []string{"team-a"}
			o.Routes = append(o.Routes, issuer.Route{Name: "1", Scope: scope("*", "*"), Callers: []string{"team-b"}})
			o.Observe = nil
		})
		r.sts.set(2*time.Second, nil)
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				token, q := teamA, query(scope("uploads/*,a.txt", "read"))
				if i%2 == 0 {
					token, q = teamB, query(scope("a.txt,uploads/*,uploads/b", "name/cos:GetObject,read"))
				}
				if got := r.get(token, q); got.id != "AKID-1" {
					t.Errorf("got %s", got.body)
				}
			})
		}
		all.Wait()
		if n := len(r.sts.requested()); n != 1 {
			t.Errorf("%d calls of STS, want 1", n)
		}
	})
}

// Renewals happen before clients ask, and a scope that no client requests is forgotten.
func TestIssuer_RenewAndForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		first := r.get(teamA, query(scope("a.txt", "read")))
		time.Sleep(18 * time.Minute) // 0.6 of the life: the earliest refresh of a client
		second := r.get(teamA, query(scope("a.txt", "read")))
		if second.id != "AKID-2" || !second.expires.After(first.expires.Add(13*time.Minute)) {
			t.Errorf("the second response is %s", second.body)
		}
		time.Sleep(24 * time.Hour)
		if n := len(r.sts.requested()); n > 5 || len(r.cache.Stats()) != 0 {
			t.Errorf("%d calls of STS and %d scopes a day after the last request", n, len(r.cache.Stats()))
		}
	})
}

func TestIssuer_MaxScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *issuer.Options) {
			o.MaxScopes = 3
			o.Routes[0].Callers = []string{"team-a", "team-b"}
		})
		get := func(token string, n int) reply {
			return r.get(token, query(scope(fmt.Sprintf("uploads/%d", n), "read")))
		}
		for n := range 3 {
			get(teamA, n).want(t, 200, "")
			time.Sleep(time.Minute)
		}
		for n := range 1000 { // endless scopes cost nothing
			got := get(teamA, 100+n)
			got.want(t, 429, "TooManyScopes")
			if wait := got.header.Get("Retry-After"); wait != "1620" { // 30 min after the first request
				t.Fatalf("Retry-After is %s", wait)
			}
		}
		if calls, stats := len(r.sts.requested()), len(r.cache.Stats()); calls != 3 || stats != 3 {
			t.Errorf("%d calls of STS, %d scopes, want 3 and 3", calls, stats)
		}
		get(teamA, 1).want(t, 200, "") // one of the three
		for n := range 3 {             // another caller has its own limit, also for shared scopes
			get(teamB, 2-n).want(t, 200, "")
		}
		get(teamB, 3).want(t, 429, "TooManyScopes")
		time.Sleep(27 * time.Minute) // the credentials of scope 0 have expired; 1 was renewed
		get(teamA, 3).want(t, 200, "")
		get(teamA, 4).want(t, 429, "TooManyScopes")
	})
}

// A caller whose scopes STS rejects reaches the limit too.
func TestIssuer_MaxScopesWithoutCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *issuer.Options) { o.MaxScopes = 3 })
		r.sts.set(0, &credcache.SourceError{Source: "sts", Code: "InvalidParameter", Message: "no"})
		for n := range 100 {
			got := r.get(teamA, query(scope(fmt.Sprintf("uploads/%d", n), "read")))
			if n < 3 {
				got.want(t, 503, "Unavailable")
			} else {
				got.want(t, 429, "TooManyScopes")
			}
		}
		time.Sleep(time.Hour)
		if n := len(r.sts.requested()); n > 3*20 || len(r.cache.Stats()) != 0 {
			t.Errorf("%d calls of STS, %d scopes after an hour", n, len(r.cache.Stats()))
		}
		r.sts.set(0, nil)
		r.get(teamA, query(scope("uploads/50", "read"))).want(t, 200, "")
	})
}

func TestIssuer_STSDown(t *testing.T) {
	throttled := &credcache.SourceError{Source: "sts", Code: "RequestLimitExceeded", Message: "account 100000000001 is over its quota", Retryable: true}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		q := query(scope("a.txt", "read"))
		r.sts.set(0, throttled)
		r.get(teamA, q).want(t, 503, "Unavailable")
		for range 50 {
			got := r.get(teamA, q)
			got.want(t, 503, "Unavailable")
			seconds, err := time.ParseDuration(got.header.Get("Retry-After") + "s")
			if err != nil || seconds < time.Second || seconds > 2*time.Minute || strings.Contains(got.body, "100000000001") || !strings.Contains(got.message, "RequestLimitExceeded") {
				t.Fatalf("Retry-After is %q, body %s", got.header.Get("Retry-After"), got.body)
			}
		}
		if n := len(r.sts.requested()); n != 1 {
			t.Errorf("%d calls of STS, want 1: requests must not cause retries", n)
		}
		if !strings.Contains(r.log.String(), "100000000001 is over its quota") {
			t.Error("the log lacks the cause")
		}

		r.sts.set(0, nil)
		time.Sleep(3 * time.Minute) // the issuer has retried
		if got := r.get(teamA, q); got.status != 200 {
			t.Fatalf("got %s", got.body)
		}
		r.sts.set(0, throttled)
		time.Sleep(25 * time.Minute) // valid credentials stay in use
		r.get(teamA, q).want(t, 200, "")
		time.Sleep(6 * time.Minute)
		r.get(teamA, q).want(t, 503, "Unavailable")
	})
}

// A client gets a response before its own timeout of 10 s.
func TestIssuer_STSHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.sts.set(time.Hour, nil)
		start := time.Now()
		got := r.get(teamA, query(scope("a.txt", "read")))
		got.want(t, 503, "Unavailable")
		if took := time.Since(start); took != 8*time.Second || got.header.Get("Retry-After") == "" {
			t.Errorf("took %v, Retry-After %q", took, got.header.Get("Retry-After"))
		}
		time.Sleep(time.Minute)
	})
}

func TestIssuer_ClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.sts.set(3*time.Second, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, issuer.Path+"?"+query(scope("a.txt", "read")), nil)
		req.Header.Set("Authorization", "Bearer "+teamA)
		if got := r.send(req); got.body != "" || r.observed[0] != "0 499" {
			t.Errorf("got %s, observed %q", got.body, r.observed)
		}
		time.Sleep(3 * time.Second)
		if got := r.get(teamA, query(scope("a.txt", "read"))); got.id != "AKID-1" {
			t.Errorf("the fetch did not survive its client: %s", got.body)
		}
	})
}

func TestIssuer_NoExpiry(t *testing.T) {
	r := newRig(t, func(o *issuer.Options) {
		cache := credcache.New(credcache.NewStatic(signerCredentials()), credcache.Options{ForClients: true})
		t.Cleanup(cache.Close)
		o.Routes[0].Cache = cache
	})
	r.get(teamA, query(scope("a.txt", "read"))).want(t, 503, "Unavailable")
}

// The log has caller, route, scope and expiry of each response, and no secret.
func TestIssuer_Log(t *testing.T) {
	r := newRig(t, nil)
	r.get(teamA, query(scope("a.txt", "name/cos:GetObject")))
	r.get(teamA, query(scope("secret/*", "read")))
	r.get("wrong-token-of-team-a", query(scope("a.txt", "read")))
	log := r.log.String()
	for _, want := range []string{
		`"msg":"credentials issued","client.address":"192.0.2.1:1234","cosproxy.caller":"team-a","cosproxy.route":"0","cos.bucket":"` + bucket + `","cloud.region":"ap-guangzhou",` +
			`"cosproxy.allow_prefixes":"a.txt","cosproxy.allow_actions":"name/cos:GetObject","cos.secret_id":"AKID-1","cosproxy.credentials_expiry":"20`,
		`"level":"WARN","msg":"no credentials issued"`, `"http.response.status_code":403,"error.type":"ScopeNotAllowed"`, `"http.response.status_code":401`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	for _, leak := range []string{secret, teamA, "wrong-token"} {
		if strings.Contains(log, leak) {
			t.Errorf("the log has %s:\n%s", leak, log)
		}
	}
}

func TestNew_Options(t *testing.T) {
	cache := credcache.New(&fakeSTS{}, credcache.Options{})
	defer cache.Close()
	valid := issuer.Route{Name: "0", Scope: scope("a", "read"), Callers: []string{"team-a"}, Cache: cache}
	with := func(change func(*issuer.Route)) []issuer.Route {
		route := valid
		change(&route)
		return []issuer.Route{route}
	}
	read := writeTokens(t, tokens)
	for name, opts := range map[string]issuer.Options{
		"no routes":   {Tokens: read},
		"no callers":  {Tokens: read, Routes: with(func(r *issuer.Route) { r.Callers = nil })},
		"a wildcard":  {Tokens: read, Routes: with(func(r *issuer.Route) { r.Callers = []string{"*"} })},
		"no cache":    {Tokens: read, Routes: with(func(r *issuer.Route) { r.Cache = nil })},
		"no scope":    {Tokens: read, Routes: with(func(r *issuer.Route) { r.Scope = credcache.Scope{} })},
		"no callers'": {Routes: []issuer.Route{valid}},
	} {
		if i, err := issuer.New(opts); err == nil {
			i.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzIssuer sends arbitrary queries. STS must only be asked for scopes inside the route, by
// rules that share no code with the Issuer.
func FuzzIssuer(f *testing.F) {
	for _, seed := range []credcache.Scope{scope("uploads/*,a.txt", "read,upload"), scope("uploads/x", "name/cos:GetObject"), scope("*", "*"), scope("uploads/../x", "read")} {
		f.Add(query(seed))
	}
	f.Add("action=read&prefix=a.txt&bucket=" + bucket + "&region=" + region + "&prefix=%75ploads%2f%2a")
	f.Add("action=read&prefix=a.txt&prefix=&bucket=" + bucket + "&region=" + region)
	r := newRig(f, func(o *issuer.Options) { o.MaxScopes, o.Observe, o.Logger = 1<<30, nil, nil })
	f.Fuzz(func(t *testing.T, q string) {
		req := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: issuer.Path, RawQuery: q}, Header: http.Header{"Authorization": {"Bearer " + teamA}}}
		before := len(r.sts.requested())
		got := r.send(req)
		asked := r.sts.requested()[before:]
		if got.status != 200 && (got.code == "" || len(asked) > 0) {
			t.Fatalf("%q: %d %s, %d calls", q, got.status, got.body, len(asked))
		}
		for _, s := range asked {
			if s.Bucket != bucket || s.Region != region || len(s.AllowPrefixes) == 0 || len(s.AllowActions) == 0 {
				t.Fatalf("%q: STS was asked for %+v", q, s)
			}
			for _, p := range s.AllowPrefixes {
				inside := p == "a.txt" || len(p) > len("uploads/") && p[:len("uploads/")] == "uploads/"
				if star := strings.IndexByte(p, '*'); !inside || star >= 0 && star != len(p)-1 || strings.Contains(p, "/../") || strings.Contains(p, "/./") {
					t.Fatalf("%q: STS was asked for the prefix %q", q, p)
				}
			}
			for _, a := range s.AllowActions {
				if !slices.Contains(allowedActions, a) {
					t.Fatalf("%q: STS was asked for the action %q", q, a)
				}
			}
		}
	})
}

// allowedActions are those of the presets read and upload.
var allowedActions = func() []string {
	names := strings.Fields("GetObject HeadObject OptionsObject GetObjectTagging PutObject PostObject InitiateMultipartUpload UploadPart UploadPartCopy " +
		"ListParts CompleteMultipartUpload AbortMultipartUpload ListMultipartUploads")
	for i := range names {
		names[i] = "name/cos:" + names[i]
	}
	return names
}()
