import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;

/** Prints, for each file and flavour, one line of tab-separated values for each failed assertion. */
public class Vera {
    public static void main(String[] arguments) throws Exception {
        VeraGreenfieldFoundryProvider.initialise();
        for (String file : List.of(arguments).subList(1, arguments.length)) {
            byte[] content = Files.readAllBytes(Path.of(file));
            for (String name : arguments[0].split(",")) check(file, content, PDFAFlavour.fromString(name));
        }
        System.out.println("done");
    }

    private static void check(String file, byte[] content, PDFAFlavour flavour) throws Exception {
        try (var parser = Foundries.defaultInstance().createParser(new ByteArrayInputStream(content), flavour);
                var validator = Foundries.defaultInstance().createValidator(flavour, false)) {
            for (TestAssertion assertion : validator.validate(parser).getTestAssertions()) {
                if (assertion.getStatus() == TestAssertion.Status.PASSED) continue;
                var rule = assertion.getRuleId();
                String place = String.valueOf(assertion.getLocation());
                System.out.println(String.join("\t", file, flavour.getId(),
                    rule.getClause() + "-" + rule.getTestNumber(),
                    (assertion.getMessage() + " " + place).replaceAll("\\s+", " ")));
            }
        }
    }
}
