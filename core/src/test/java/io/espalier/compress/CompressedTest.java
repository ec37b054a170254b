package io.espalier.compress;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertSameTensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.Prune;
import io.espalier.prune.Sparsity;
import io.espalier.prune.Target;
import io.espalier.state.SavedModel;
import io.espalier.state.StoredTensor;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

class CompressedTest {
    @TempDir Path folder;

    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    private static Sequential network() {
        var model =
                new Sequential(
                        new Linear(60, 80), new BatchNorm1d(80), new ReLU(), new Linear(80, 10));
        model.eval();
        return model;
    }

    private static Sequential pruned(double share) {
        var model = network();
        Prune.globalUnstructured(Target.weights(model), L1Unstructured::new, share);
        return model;
    }

    private Path file() {
        return folder.resolve("model.small");
    }

    @Test
    @DisplayName("a pruned model is a small file, from which a plain one computes the same")
    void pruned() throws IOException {
        var model = pruned(0.95);
        Compressed.save(model, file());
        Path plain = folder.resolve("model.safetensors");
        model.save(plain);
        assertTrue(Files.size(file()) * 12 < Files.size(plain));
        var again = network();
        again.load(file());
        Tensor x = Tensors.randn(5, 60);
        assertTrue(Tensors.equal(model.call(x), again.call(x)));
        assertTrue(Prune.isPruned(again));
        assertSameTensors(
                Map.of("mask", model.get(0).buffer("weight_mask")),
                Map.of("mask", again.get(0).buffer("weight_mask")));
        var third = network();
        Compressed.load(third, file());
        assertSameTensors(again.stateDict(), third.stateDict());
    }

    @Test
    @DisplayName("a state whose mask holds something else than 0 and 1 is refused")
    void noMask() {
        Map<String, Tensor> state =
                Map.of(
                        "0.weight_orig",
                        Tensors.of(new float[] {1, 2}, 2),
                        "0.weight_mask",
                        Tensors.of(new float[] {1, 0.5f}, 2));
        assertEquals(
                "The mask '0.weight_mask' holds something else than 0 and 1, which is no mask;"
                        + " nothing was written.",
                messageOf(() ->
                        Compressed.write(file(), state, Map.of(), options -> options, () -> {})));
        assertFalse(Files.exists(file()));
    }

    @Test
    @DisplayName("a model that is not pruned comes back element by element")
    void lossless() {
        var model = network();
        Compressed.save(model, file());
        assertSameTensors(model.stateDict(), Compressed.read(file()).tensors());
    }

    @Test
    @DisplayName("masked, shared and trained weights come back shared, with the same outputs")
    void shared() throws IOException {
        var model = pruned(0.9);
        WeightSharing.shareAll(model, 4);
        long before = saved(model);
        var again = network();
        again.load(file());
        Tensor x = Tensors.randn(5, 60);
        assertTrue(Tensors.equal(model.call(x), again.call(x)));
        assertTrue(WeightSharing.isShared(again.get(3), "weight"));
        for (int layer : new int[] {0, 3}) {
            WeightSharing.remove(model.get(layer), "weight");
            Prune.remove(model.get(layer), "weight");
        }
        long permanent = saved(model);
        assertTrue(permanent < before, permanent + " of " + before);
        var last = network();
        last.load(file());
        assertTrue(Tensors.equal(again.call(x), last.call(x)));
    }

    private long saved(Module model) throws IOException {
        Compressed.save(model, file());
        return Files.size(file());
    }

    @ParameterizedTest
    @CsvSource({"8, 0.005", "4, 0.1"})
    @DisplayName("integers are read back within half a step, zeros as zeros, masks kept")
    void integers(int bits, double most) throws IOException {
        var model = pruned(0.8);
        long plain = saved(model);
        Compressed.save(model, file(), o -> o.bits(bits));
        assertTrue(Files.size(file()) * 1.5 < plain);
        var again = network();
        again.load(file());
        for (int layer : new int[] {0, 3}) {
            float[] wanted = Tensors.floats(model.get(layer).value("weight"));
            float[] got = Tensors.floats(again.get(layer).value("weight"));
            float[] mask = Tensors.floats(again.get(layer).buffer("weight_mask"));
            int columns = (int) model.get(layer).value("weight").size(1);
            for (int i = 0; i < wanted.length; i++) {
                float largest = 0;
                for (int j = i / columns * columns; j < (i / columns + 1) * columns; j++) {
                    largest = Math.max(largest, Math.abs(wanted[j]));
                }
                assertEquals(wanted[i], got[i], wanted[i] == 0 ? 0 : largest * most);
                assertEquals(got[i] == 0, mask[i] == 0);
            }
        }
        assertSameTensors(
                Map.of("mean", model.get(1).buffer("running_mean")),
                Map.of("mean", again.get(1).buffer("running_mean")));
    }

    @Test
    @DisplayName("weights that share values by the file alone have that many")
    void sharedByFile() {
        var model = pruned(0.5);
        Compressed.save(model, file(), o -> o.shared(3));
        var again = network();
        again.load(file());
        assertFalse(WeightSharing.isShared(again.get(0), "weight"));
        assertEquals(8, Clusters.of(nonzero(again.get(0)), 200).centers().length);
        assertEquals(
                Sparsity.of(model).only("weight").zeros(),
                Sparsity.of(again).only("weight").zeros());
    }

    @Test
    @DisplayName("weights of 16 bits share values too, and keep their type")
    void halvesShare() {
        Tensor halves = Tensors.randn(20, 30).to(ScalarType.Half);
        Compressed.write(file(), Map.of("w", halves), Map.of(), o -> o.shared(3), () -> {});
        Tensor again = Objects.requireNonNull(Compressed.read(file()).tensors().get("w"));
        Set<Float> values = new HashSet<>();
        for (float value : Tensors.floats(again.to(ScalarType.Float))) {
            values.add(value);
        }
        assertEquals(ScalarType.Half, Tensors.type(again));
        assertEquals(8, values.size());
    }

    private static float[] nonzero(Module layer) {
        float[] all = Tensors.floats(layer.value("weight"));
        float[] found = new float[all.length];
        int size = 0;
        for (float each : all) {
            if (each != 0) {
                found[size++] = each;
            }
        }
        return Arrays.copyOf(found, size);
    }

    @Test
    @DisplayName("what a file holds is described, with the bytes of memory beside its own")
    void described() throws IOException {
        var model = pruned(0.9);
        Compressed.save(model, file());
        SavedModel saved = SavedModel.read(file());
        StoredTensor first = saved.tensors().getFirst();
        assertEquals("0.bias", first.name());
        assertEquals(Sparsity.of(model).sparsity(), saved.sparsity(), 1e-9);
        assertEquals(model.toString(), saved.tree().orElseThrow());
        long inFile = saved.tensors().stream().mapToLong(StoredTensor::bytes).sum();
        assertTrue(inFile < Files.size(file()));
    }

    @Test
    @DisplayName("a state's masks leave zeros in the file, as those of a model do")
    void maskedTensors() throws IOException {
        var model = pruned(0.95);
        long size = saved(model);
        Compressed.write(file(), model.stateDict(), Map.of(), o -> o, () -> {});
        assertTrue(Files.size(file()) < size);
        var again = network();
        again.load(file());
        Tensor x = Tensors.randn(5, 60);
        assertTrue(Tensors.equal(model.call(x), again.call(x)));
    }

    @Test
    @DisplayName("tensors of any file are written, with a word after each")
    void anyTensors() {
        var steps = new AtomicInteger();
        Map<String, Tensor> tensors = Map.of("x", Tensors.randn(3, 4), "y", Tensors.randn(5));
        Compressed.write(file(), tensors, Map.of("k", "v"), o -> o, steps::incrementAndGet);
        assertEquals(2, steps.get());
        var contents = Compressed.read(file());
        assertEquals(Map.of("k", "v"), contents.metadata());
        assertSameTensors(tensors, contents.tensors());
    }

    @Test
    @DisplayName("a state that does not fit, or ways that there are not, are one error")
    void refused() {
        Compressed.save(network(), file());
        var other = new Sequential(new Linear(2, 3));
        String message = messageOf(() -> other.load(file()));
        assertTrue(message.contains("The state in " + file()), message);
        assertTrue(
                messageOf(() -> Compressed.save(network(), file(), o -> o.bits(5)))
                        .contains("8 or 4 bits; asked for 5"));
        assertTrue(
                messageOf(() -> Compressed.save(network(), file(), o -> o.bits(8).shared(4)))
                        .contains("not both"));
        assertTrue(messageOf(() -> Compressed.read(folder)).contains("folder"));
    }
}
