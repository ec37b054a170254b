package io.espalier.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import picocli.CommandLine;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;

@DisplayName("A command whose output")
class StandardStreamTest {
    private final ByteArrayOutputStream said = new ByteArrayOutputStream();

    /** Runs {@code --version} with these two streams. */
    private int versions(OutputStream out, OutputStream err) {
        var standardOut = new StandardStream(out);
        var standardErr = new StandardStream(err);
        CommandLine line = Espalier.commandLine();
        line.setOut(new PrintWriter(standardOut.printer("UTF-8"), true, UTF_8));
        line.setErr(new PrintWriter(standardErr.printer("UTF-8"), true, UTF_8));
        return Espalier.execute(line, standardOut, standardErr, "--version");
    }

    @Test
    @DisplayName("can't be written fails with one line that says why")
    void full() {
        assertEquals(1, versions(new Broken("No space left on device"), said));
        assertEquals(
                "espalier: The output can't be written: No space left on device.\n",
                said.toString(UTF_8));
    }

    @Test
    @DisplayName("nobody reads any more fails without a word")
    void closedPipe() {
        assertEquals(1, versions(new Broken("Broken pipe"), said));
        assertEquals("", said.toString(UTF_8));
    }

    @Test
    @DisplayName("and errors can't be written fails all the same")
    void nowhereToSay() {
        assertEquals(1, versions(new Broken("full"), new Broken("full")));
    }

    @Test
    @DisplayName("is written succeeds")
    void written() {
        var out = new ByteArrayOutputStream();

        assertEquals(0, versions(out, said));
        assertEquals(3, out.toString(UTF_8).lines().count());
        assertEquals("", said.toString(UTF_8));
    }

    private static final class Broken extends OutputStream {
        private final String reason;

        Broken(String reason) {
            this.reason = reason;
        }

        @Override
        public void write(int value) throws IOException {
            throw new IOException(reason);
        }
    }
}
