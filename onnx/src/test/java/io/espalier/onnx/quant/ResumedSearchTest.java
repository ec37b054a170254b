package io.espalier.onnx.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

@DisplayName("A search for layers in integers that was stopped")
class ResumedSearchTest {
    /** So little that nothing holds, and everything is tried. */
    private static final double NOTHING = 1e-12;

    @TempDir Path folder;
    private Path journal;
    private Inputs data;

    @BeforeEach
    void data() {
        journal = folder.resolve("journal");
        torch.manual_seed(3);
        List<Map<String, Tensor>> batches =
                Stream.generate(() -> Map.of("x", Tensors.rand(4, 64))).limit(2).toList();
        data = Inputs.of(batches);
    }

    /** What a listener hears; it ends the work when something was said so often. */
    private static final class Listening {
        private final List<String> fits = new ArrayList<>();
        private final String counted;
        private final int most;

        Listening(String counted, int most) {
            this.counted = counted;
            this.most = most;
        }

        void hear(QuantizationProgress progress) {
            String words = progress.step();
            if (words.startsWith(counted) && progress.done() == 0) {
                if (fits.size() == most) {
                    throw new Stopped();
                }
                fits.add(words);
            }
        }
    }

    private static final class Stopped extends RuntimeException {}

    private static Quantizer quantizer() {
        return Quantizer.auto().threads(1).maxDrop(NOTHING);
    }

    @Test
    @DisplayName("goes on with those products that were not fitted yet, and finds the same")
    void products() {
        OnnxModel model = ofProducts();
        var whole = new Listening("fitting matrix products", 100);
        QuantizationResult expected = quantizer().progress(whole::hear).quantize(model, data);
        var stopped = new Listening("fitting matrix products", 3);
        Quantizer kept = quantizer().journal(journal);

        assertThrows(Stopped.class, () -> kept.progress(stopped::hear).quantize(model, data));
        var resumed = new Listening("fitting matrix products", 100);
        QuantizationResult found = kept.progress(resumed::hear).quantize(model, data);

        assertTrue(whole.fits.size() > 3, whole.fits.toString());
        assertEquals(whole.fits.size() - 3, resumed.fits.size());
        assertEquals(expected.model().toProto().getGraph(), found.model().toProto().getGraph());
        assertEquals(expected.layers(), found.layers());
    }

    @Test
    @DisplayName("goes on with those convolutions that were not fitted yet, and finds the same")
    void convolutions() throws IOException {
        OnnxModel model = ofConvolutions();
        Inputs images = images();
        double all = Quantizer.of(QuantizationMode.STATIC).quantize(model, images).drop();
        Quantizer search = Quantizer.auto().threads(1).maxDrop(all / 3);
        Path whole = folder.resolve("whole");
        var none = new Listening("fitting layers", 0);
        Quantizer timed = search.journal(whole).progress(none::hear);
        assertThrows(Stopped.class, () -> timed.quantize(model, images));
        Files.writeString(whole, whereIntegersPay(Files.readString(whole)));
        var first = new Listening("fitting layers", 100);
        QuantizationResult expected =
                search.journal(whole).progress(first::hear).quantize(model, images);
        // Times are never the same twice; all else is to be found anew.
        Files.write(
                journal,
                Files.readAllLines(whole).stream()
                        .filter(line -> !line.startsWith("{\"l") && !line.startsWith("{\"p"))
                        .toList());
        var stopped = new Listening("fitting layers", 1);
        Quantizer kept = search.journal(journal);

        assertThrows(Stopped.class, () -> kept.progress(stopped::hear).quantize(model, images));
        var resumed = new Listening("fitting layers", 100);
        QuantizationResult found = kept.progress(resumed::hear).quantize(model, images);
        var again = new Listening("fitting layers", 100);
        QuantizationResult same = kept.progress(again::hear).quantize(model, images);

        assertTrue(first.fits.size() > 1, first.fits.toString());
        assertEquals(first.fits.subList(1, first.fits.size()), resumed.fits);
        assertTrue(again.fits.size() <= 1, again.fits.toString());
        for (QuantizationResult other : List.of(found, same)) {
            assertEquals(expected.layers(), other.layers());
            assertEquals(expected.model().toProto().getGraph(), other.model().toProto().getGraph());
        }
    }

    /** A journal in whose times each layer takes a tenth in integers. */
    private static String whereIntegersPay(String journal) {
        return journal.replaceAll("\"float ([^\"]*)\":[0-9.E-]+", "\"float $1\":1.0")
                .replaceAll("\"integer ([^\"]*)\":[0-9.E-]+", "\"integer $1\":0.1")
                .replaceAll("\"to (floats|integers)\":[0-9.E-]+", "\"to $1\":0.0");
    }

    private static Inputs images() {
        List<Map<String, Tensor>> batches =
                Stream.generate(() -> Map.of("x", Tensors.rand(4, 16, 12, 12))).limit(2).toList();
        return Inputs.of(batches);
    }

    private static OnnxModel ofConvolutions() {
        TestGraphs graph = TestGraphs.opset(17).input("x: Float[N, 16, 12, 12]");
        String value = "x";
        for (int i = 0; i < 6; i++) {
            graph.weight("w" + i, i == 5 ? 64 : 16, 16, 3, 3)
                    .node(
                            "c" + i + " = Conv(" + value + ", w" + i + ")",
                            n -> n.with("pads", List.of(1L, 1L, 1L, 1L)))
                    .node("a" + i + " = Relu(c" + i + ")");
            value = "a" + i;
        }
        return graph.output(value).build();
    }

    @Test
    @DisplayName("goes on for libtorch, too, and fits again only what it gives")
    void libtorch() throws IOException {
        OnnxModel model = ofProducts();
        var whole = new Listening("fitting layers", 100);
        LibtorchResult expected =
                quantizer()
                        .journal(folder.resolve("whole"))
                        .progress(whole::hear)
                        .quantizeForLibtorch(model, data);
        var stopped = new Listening("fitting layers", 3);
        Quantizer kept = quantizer().journal(journal);

        assertThrows(
                Stopped.class, () -> kept.progress(stopped::hear).quantizeForLibtorch(model, data));
        long before = attempts(journal);
        var resumed = new Listening("fitting layers", 100);
        LibtorchResult found = kept.progress(resumed::hear).quantizeForLibtorch(model, data);
        long after = attempts(journal);
        var again = new Listening("fitting layers", 100);
        kept.progress(again::hear).quantizeForLibtorch(model, data);

        assertTrue(whole.fits.size() > 4, whole.fits.toString());
        assertEquals(3, before);
        // The rest, and what it gives where that is not the last one.
        assertTrue(resumed.fits.size() <= after - before + 1, resumed.fits.toString());
        assertEquals(1, again.fits.size());
        assertEquals(expected.drop(), found.drop());
    }

    private static long attempts(Path journal) throws IOException {
        return Files.readAllLines(journal).stream()
                .filter(line -> line.contains("lost without"))
                .count();
    }

    @Test
    @DisplayName("is begun with a journal of its own: that of other settings is refused")
    void others() throws IOException {
        OnnxModel model = ofProducts();
        quantizer().journal(journal).quantize(model, data);
        String kept = Files.readString(journal);

        Quantizer other = quantizer().reduceRange().journal(journal);
        var refused = assertThrows(EspalierException.class, () -> other.quantize(model, data));

        assertEquals(
                "The journal "
                        + journal
                        + " is of another model, other data or other settings;"
                        + " delete it, name another file, or begin anew (--force).",
                refused.getMessage());
        assertEquals(kept, Files.readString(journal));
    }

    @Test
    @DisplayName("begins a file anew that is for nothing else, unless it is no journal")
    void anew() throws IOException {
        OnnxModel model = ofProducts();
        quantizer().journal(journal).quantize(model, data);
        String kept = Files.readString(journal);
        Path notes = Files.writeString(folder.resolve("notes"), "mine");

        List<String> told = new ArrayList<>();
        quantizer()
                .reduceRange()
                .scratchJournal(journal)
                .progress(progress -> told.add(progress.step()))
                .quantize(model, data);
        var refused =
                assertThrows(
                        EspalierException.class,
                        () -> quantizer().scratchJournal(notes).quantize(model, data));

        assertTrue(
                told.contains("beginning " + journal + " anew, which was of another search"),
                told.toString());
        assertFalse(Files.readString(journal).startsWith(kept.lines().toList().getFirst()));
        assertTrue(String.valueOf(refused.getMessage()).contains("is no journal"));
        assertEquals("mine", Files.readString(notes));
    }

    @Test
    @DisplayName("has no journal where nothing is searched for")
    void nothingSearched() {
        Quantizer fixed = Quantizer.of(QuantizationMode.STATIC).journal(journal);

        var refused =
                assertThrows(EspalierException.class, () -> fixed.quantize(ofProducts(), data));

        assertTrue(String.valueOf(refused.getMessage()).contains("the mode STATIC searches"));
        assertFalse(Files.exists(journal));
    }

    private static OnnxModel ofProducts() {
        TestGraphs graph = TestGraphs.opset(17).input("x: Float[N, 64]");
        String value = "x";
        for (int i = 0; i < 6; i++) {
            graph.weight("w" + i, 64, 64)
                    .node("m" + i + " = MatMul(" + value + ", w" + i + ")")
                    .node("a" + i + " = HardSwish(m" + i + ")");
            value = "a" + i;
        }
        return graph.node("y = ReduceSum(" + value + ")", n -> n.with("keepdims", 1L))
                .output("y")
                .build();
    }
}
