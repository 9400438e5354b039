package store

// PlaceSQL reads the place of the page $2 of the source $1.
var PlaceSQL = placesSQL(pickOne)
