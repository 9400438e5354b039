module renderers

go 1.21

require github.com/russross/blackfriday/v2 v2.1.0
