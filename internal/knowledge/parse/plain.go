package parse

import (
	"strings"
)

// readPlain cuts text at empty lines. A form feed turns the page, as printed
// documents of old do.
func readPlain(b *builder, text string) {
	text = normalLines(text)
	paged := strings.Contains(text, "\f")
	page := 1
	if paged {
		b.turn(page)
	}
	var para strings.Builder
	flush := func() {
		if para.Len() > 0 {
			b.add(Paragraph, 0, para.String())
			para.Reset()
		}
	}
	for line := range strings.Lines(text) {
		for {
			before, after, cut := strings.Cut(line, "\f")
			if !cut {
				break
			}
			para.WriteString(before)
			flush()
			page++
			b.turn(page)
			line = after
		}
		if strings.TrimSpace(line) == "" {
			flush()
			continue
		}
		para.WriteString(line)
	}
	flush()
}

// normalLines ends every line in one line feed.
func normalLines(s string) string {
	if !strings.Contains(s, "\r") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// readMarkdown keeps the text as it is, which models read well, and tells what its
// lines are.
func readMarkdown(b *builder, text string) {
	text = normalLines(text)
	text = frontMatter(b, text)
	lines := strings.Split(text, "\n")
	var para []string
	flush := func() {
		if len(para) > 0 {
			b.add(Paragraph, 0, strings.Join(para, "\n"))
			para = nil
		}
	}
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		bare := strings.TrimSpace(line)
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		switch {
		case bare == "":
			flush()
		case fence(bare) != "":
			flush()
			mark := fence(bare)
			code := []string{line}
			for i++; i < len(lines); i++ {
				code = append(code, lines[i])
				if end := strings.TrimSpace(lines[i]); strings.HasPrefix(end, mark) && strings.Trim(end, mark[:1]) == "" {
					break
				}
			}
			b.add(Paragraph, 0, strings.Join(code, "\n"))
		case indent < 4 && atx(bare) > 0:
			flush()
			level := atx(bare)
			head := strings.TrimSpace(strings.TrimRight(strings.TrimSpace(bare[level:]), "#"))
			if head != "" {
				b.add(Heading, level, bare)
				if b.title == "" && level == 1 {
					b.title = head
				}
			}
		case len(para) > 0 && setext(bare) > 0:
			level := setext(bare)
			head := strings.Join(para, " ")
			para = nil
			b.add(Heading, level, head)
			if b.title == "" && level == 1 {
				b.title = head
			}
		case bullet(bare):
			flush()
			item := []string{line}
			for i+1 < len(lines) {
				next := lines[i+1]
				nb := strings.TrimSpace(next)
				if nb == "" || bullet(nb) || atx(nb) > 0 || fence(nb) != "" || strings.HasPrefix(nb, "|") {
					break
				}
				item = append(item, next)
				i++
			}
			b.add(ListItem, 1+indent/2, strings.Join(item, "\n"))
		case strings.HasPrefix(bare, "|") && strings.Count(bare, "|") > 1:
			flush()
			if strings.Trim(bare, "|-: \t") != "" { // not the line under a header
				b.add(TableRow, 0, bare)
			}
		default:
			para = append(para, line)
		}
	}
	flush()
}

// frontMatter takes a YAML head off and its title out.
func frontMatter(b *builder, text string) string {
	if !strings.HasPrefix(text, "---\n") {
		return text
	}
	head, rest, ok := strings.Cut(text[4:], "\n---\n")
	if !ok || len(head) > 16<<10 {
		return text
	}
	for line := range strings.Lines(head) {
		if v, ok := strings.CutPrefix(line, "title:"); ok {
			b.title = strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return rest
}

func fence(s string) string {
	for _, f := range []string{"```", "~~~"} {
		if strings.HasPrefix(s, f) {
			return f
		}
	}
	return ""
}

func atx(s string) int {
	n := 0
	for n < len(s) && s[n] == '#' {
		n++
	}
	if n == 0 || n > 6 || n < len(s) && s[n] != ' ' && s[n] != '\t' {
		return 0
	}
	return n
}

func setext(s string) int {
	switch {
	case strings.Trim(s, "=") == "":
		return 1
	case len(s) > 1 && strings.Trim(s, "-") == "":
		return 2
	}
	return 0
}

func bullet(s string) bool {
	if len(s) > 1 && (s[0] == '-' || s[0] == '*' || s[0] == '+') && (s[1] == ' ' || s[1] == '\t') {
		return true
	}
	n := 0
	for n < len(s) && n < 9 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n > 0 && n+1 < len(s) && (s[n] == '.' || s[n] == ')') && s[n+1] == ' '
}
