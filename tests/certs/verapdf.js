// Judges PDF files with veraPDF: FLAVOURS (separated by commas) FILE... One line of JSON for each file and flavour.
// Run by Rhino, which comes with veraPDF: the Java runtime that we have cannot compile.
var org = Packages.org.verapdf;
org.gf.foundry.VeraGreenfieldFoundryProvider.initialise();
var foundry = org.pdfa.Foundries.defaultInstance();
var flavours = arguments[0].split(",");
for (var i = 1; i < arguments.length; i++) {
  for (var n = 0; n < flavours.length; n++) {
    var flavour = org.pdfa.flavours.PDFAFlavour.fromString(flavours[n]);
    var parser = foundry.createParser(new java.io.FileInputStream(arguments[i]), flavour);
    var result = foundry.createValidator(flavour, false).validate(parser);
    var failed = [];
    for (var each = result.getTestAssertions().iterator(); each.hasNext(); ) {
      var assertion = each.next();
      if (String(assertion.getStatus()) === "failed") failed.push(assertion.getRuleId().getClause() + ": " + assertion.getMessage());
    }
    parser.close();
    print(JSON.stringify({ file: String(arguments[i]), flavour: flavours[n], compliant: Boolean(result.isCompliant()), failed: failed }));
  }
}
