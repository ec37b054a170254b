package io.espalier.cli;

import org.jspecify.annotations.Nullable;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.util.Optional;

/** Writes to a standard stream and keeps why that failed, which Java's own streams forget. */
final class StandardStream extends OutputStream {
    private final OutputStream out;
    private @Nullable IOException failure;

    /** Over the stream's raw bytes. */
    StandardStream(OutputStream out) {
        this.out = out;
    }

    /** What prints to it. */
    PrintStream printer(String encoding) {
        return new PrintStream(new BufferedOutputStream(this), true, Charset.forName(encoding));
    }

    @Override
    public void write(int value) throws IOException {
        write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int count) throws IOException {
        try {
            out.write(bytes, from, count);
        } catch (IOException e) {
            failure = failure == null ? e : failure;
            throw e;
        }
    }

    /** Why not everything was written; empty if it was. */
    Optional<IOException> failure() {
        return Optional.ofNullable(failure);
    }
}
