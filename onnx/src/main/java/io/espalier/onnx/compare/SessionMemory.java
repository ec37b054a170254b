package io.espalier.onnx.compare;

import io.espalier.onnx.inputs.InputBatches;
import io.espalier.onnx.run.RunningModel;
import io.espalier.tensor.EspalierException;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.Supplier;

/**
 * Opens sessions and tells by how much the process has grown with each, as Linux counts it: what
 * the session holds and its first runs need at their peak, without what reading the file needs.
 */
final class SessionMemory implements AutoCloseable {
    private static final Path STATUS = Path.of("/proc/self/status");
    private static final Path RESET = Path.of("/proc/self/clear_refs");

    private static final String RESIDENT = "VmRSS:";
    private static final int MOST_LOOKS = 10;
    private static final long PAUSE_MS = 20;

    /** What a session is large by: beside it, room taken again counts for little. */
    private static final long MOST_HELD = 256L << 20;

    private final InputBatches inputs;
    private final List<RunningModel> warm = new ArrayList<>();
    private final List<RunningModel> opened = new ArrayList<>();
    private OptionalLong grown = OptionalLong.empty();

    SessionMemory(InputBatches inputs) {
        this.inputs = inputs;
    }

    /**
     * Opens a session and runs it once, so that what the runtime and Java need once is not counted
     * with the one that is opened first. Unless it is large it stays open for now: room that it
     * gave back would be taken again without growing.
     */
    void warmUp(Supplier<? extends RunningModel> made) {
        OptionalLong before = bytes(RESIDENT);
        try (var loop = inputs.iterator();
                var scope = new PointerScope()) {
            RunningModel session = made.get();
            warm.add(session);
            session.run(loop.next());
        }
        OptionalLong after = bytes(RESIDENT);
        if (after.orElse(0) - before.orElse(0) > MOST_HELD) {
            coolDown();
        }
    }

    /** Closes what was opened to warm up. */
    void coolDown() {
        warm.forEach(RunningModel::close);
        warm.clear();
    }

    /** Opens a session, and runs it once. */
    RunningModel open(Supplier<? extends RunningModel> made) {
        try (var loop = inputs.iterator();
                var scope = new PointerScope()) {
            Map<String, Tensor> batch = loop.next();
            OptionalLong before = settled();
            RunningModel session = made.get();
            opened.add(session);
            boolean reset = resetPeak();
            session.run(batch);
            OptionalLong peak = reset ? bytes("VmHWM:") : OptionalLong.empty();
            grown =
                    before.isPresent() && peak.isPresent()
                            ? OptionalLong.of(Math.max(0, peak.getAsLong() - before.getAsLong()))
                            : OptionalLong.empty();
            return session;
        }
    }

    /** What is resident when all that was freed and can go back to the system has gone. */
    private static OptionalLong settled() {
        System.gc();
        Pointer.trimMemory();
        OptionalLong resident = bytes(RESIDENT);
        for (int look = 0; look < MOST_LOOKS; look++) {
            try {
                Thread.sleep(PAUSE_MS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new EspalierException("The thread was interrupted while measuring.", e);
            }
            Pointer.trimMemory();
            OptionalLong now = bytes(RESIDENT);
            if (now.equals(resident)) {
                break;
            }
            resident = now;
        }
        return resident;
    }

    /** By how many bytes the process grew with the session opened last; empty if unknown. */
    OptionalLong grownBy() {
        return grown;
    }

    /** Sets the peak back to what is resident now. */
    private static boolean resetPeak() {
        if (!Files.isWritable(RESET)) {
            return false;
        }
        try {
            Files.writeString(RESET, "5");
            return true;
        } catch (IOException e) {
            return false; // forbidden in some containers
        }
    }

    private static OptionalLong bytes(String key) {
        if (!Files.isReadable(STATUS)) {
            return OptionalLong.empty();
        }
        try {
            return Files.readAllLines(STATUS).stream()
                    .filter(line -> line.startsWith(key))
                    .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
                    .findFirst();
        } catch (IOException e) {
            return OptionalLong.empty(); // as on other systems
        }
    }

    @Override
    public void close() {
        coolDown();
        opened.forEach(RunningModel::close);
        opened.clear();
    }
}
