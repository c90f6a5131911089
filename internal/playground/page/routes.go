package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// maxBody is the longest form that is read, in bytes.
const maxBody = 1 << 20

// policy lets the page load what it brought itself and nothing else.
const policy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// asset is a file that the page needs, under an address that changes with it.
type asset struct {
	path, kind string
	body       []byte
}

func readAssets() map[string]asset {
	out := map[string]asset{}
	kinds := map[string]string{"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}
	for name, kind := range kinds {
		body, err := fs.ReadFile(files, "static/"+name)
		if err != nil {
			panic("page: a file is missing from the binary: " + err.Error())
		}
		sum := sha256.Sum256(body)
		out[name] = asset{path: "/static/" + name + "?v=" + hex.EncodeToString(sum[:6]), kind: kind, body: body}
	}
	return out
}

func (p *Page) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.servePage)
	mux.HandleFunc("GET /events", p.serveEvents)
	mux.HandleFunc("GET /static/{name}", p.serveAsset)
	mux.HandleFunc("POST /ui/command", p.serveCommand)
	mux.HandleFunc("POST /ui/act", p.serveAct)
	mux.HandleFunc("POST /ui/home", p.serveHome)
	mux.HandleFunc("POST /ui/weather", p.serveWeather)
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.ours(r.Host) {
			http.Error(w, "This demo does not answer under that host name. Open it under the address that it printed when it started.", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		guarded.ServeHTTP(w, r)
	})
}

// ours says whether the Host of a request is this server. A name that somebody
// else controls could be made to resolve to the loopback address, and then its
// pages would be of the same origin as this one.
func (p *Page) ours(hostport string) bool {
	host, mine := hostOf(hostport), hostOf(p.cfg.Listen)
	if host == "localhost" || host != "" && host == mine {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip.Unmap().IsLoopback() {
		return true
	}
	all, err := netip.ParseAddr(mine)
	return p.cfg.Listen != "" && (mine == "" || err == nil && all.IsUnspecified())
}

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func (p *Page) serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := p.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	if r.URL.RequestURI() == a.path {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	p.send(w, a.body)
}

// send writes an answer. A reader who has gone is no error of ours.
func (p *Page) send(w http.ResponseWriter, body []byte) {
	if _, err := w.Write(body); err != nil {
		p.log.Debug("the browser went away", "error", err)
	}
}

func (p *Page) servePage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.show(w, p.whole(q.Get("as"), q.Get("channel"), q.Get("draft")))
}

func (p *Page) show(w http.ResponseWriter, d *pageData) {
	var b bytes.Buffer
	if err := p.pages.ExecuteTemplate(&b, "page", d); err != nil {
		p.log.Error("cannot show the page", "error", err)
		http.Error(w, "The page could not be built. Nothing was changed.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	p.send(w, b.Bytes())
}

// answer is what the page's script is told about a form that it posted.
type answer struct {
	// Keep asks to put the typed text back into the box.
	Keep bool `json:"keep,omitempty"`
	// Dialog is a question to be asked first.
	Dialog string `json:"dialog,omitempty"`
}

// finish ends a post: in words for the script, by going back for a browser
// without one.
func (p *Page) finish(w http.ResponseWriter, r *http.Request, at placeData, a answer, draft string) {
	if scripted(r) {
		body, err := json.Marshal(a)
		if err != nil {
			p.log.Error("cannot answer the page", "error", err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		p.send(w, body)
		return
	}
	target := at.Href()
	if a.Keep && draft != "" {
		target += "&" + draftQuery(draft)
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

func draftQuery(text string) string { return url.Values{"draft": {text}}.Encode() }

// scripted says that the page's own script asks, not a plain form.
func scripted(r *http.Request) bool { return r.Header.Get("Accept") == "application/json" }

// posted reads a form and where it was posted from.
func (p *Page) posted(w http.ResponseWriter, r *http.Request) (*scene, bool) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form could not be read. Nothing was sent to the bot.", http.StatusBadRequest)
		return nil, false
	}
	s := p.look(r.PostForm.Get("as"), r.PostForm.Get("channel"))
	if s.place.As == "" || s.place.As != r.PostForm.Get("as") {
		http.Error(w, "There is no such person here. Nothing was sent to the bot.", http.StatusBadRequest)
		return nil, false
	}
	return s, true
}
