module github.com/omnichat/shopifysync/examples

go 1.26

require (
	github.com/omnichat/shopifysync v0.0.0
	modernc.org/sqlite v1.38.0
)

replace github.com/omnichat/shopifysync => ../
