package io.espalier.nn;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertSameTensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.prune.Prune;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

class StateDictTest {
    private static Sequential net() {
        return new Sequential(
                new Conv2d(1, 4, 3, o -> o.padding(1)),
                new BatchNorm2d(4),
                new ReLU(),
                new Flatten(),
                new Linear(16, 2));
    }

    /** What pruning does to a parameter. */
    private static void mask(Module module, Tensor mask) {
        module.storeAs("weight", "weight_orig");
        module.addBuffer("weight_mask", mask);
        module.parametrize("weight", new Mask("weight"));
    }

    @Test
    @DisplayName("has PyTorch's names in PyTorch's order")
    void names() {
        assertEquals(
                List.of(
                        "0.weight",
                        "0.bias",
                        "1.weight",
                        "1.bias",
                        "1.running_mean",
                        "1.running_var",
                        "1.num_batches_tracked",
                        "4.weight",
                        "4.bias"),
                List.copyOf(net().stateDict().keySet()));
    }

    @Test
    @DisplayName("a masked parameter comes after the bias, its mask after both")
    void maskedOrder() {
        Linear layer = new Linear(3, 2);
        mask(layer, Tensors.ones(2, 3));
        assertEquals(
                List.of("bias", "weight_orig", "weight_mask"),
                List.copyOf(layer.stateDict().keySet()));
    }

    @Test
    @DisplayName("saved and loaded, a model computes the same")
    void roundTrip(@TempDir Path folder) {
        Sequential model = net();
        Tensor x = Tensors.randn(5, 1, 2, 2);
        model.call(x);
        model.save(folder.resolve("model.safetensors"));
        Sequential other = net();
        other.load(folder.resolve("model.safetensors"));
        assertSameTensors(model.stateDict(), other.stateDict());
        model.eval();
        other.eval();
        assertTrue(Tensors.equal(model.call(x), other.call(x)));
    }

    @Test
    @DisplayName("loading keeps the parameters' tensors, so an optimizer goes on with them")
    void keepsTensors() {
        Sequential model = net();
        List<Tensor> before = model.parameters();
        model.loadStateDict(net().stateDict());
        assertEquals(before, model.parameters());
        assertTrue(before.stream().allMatch(Tensor::requires_grad));
    }

    @Test
    @DisplayName("the state of a pruned layer makes a plain one masked")
    void attachesMask() {
        Linear pruned = new Linear(3, 2);
        mask(pruned, Tensors.of(new float[] {1, 0, 1, 0, 0, 1}, 2, 3));
        Linear plain = new Linear(3, 2);
        plain.loadStateDict(pruned.stateDict());
        assertSameTensors(pruned.stateDict(), plain.stateDict());
        assertEquals(List.of(new Mask("weight")), plain.parametrizations("weight"));
        assertTrue(Tensors.equal(pruned.weight(), plain.weight()));
    }

    @Test
    @DisplayName("whatever does not fit is named in one error and nothing is changed")
    void namesProblems() {
        Sequential model = net();
        var before = new LinkedHashMap<String, Tensor>();
        model.stateDict().forEach((name, t) -> before.put(name, t.clone()));
        SequencedMap<String, Tensor> state = net().stateDict();
        state.remove("0.bias");
        state.put("5.weight", Tensors.ones(1));
        state.put("4.weight", Tensors.ones(2, 17));
        state.put("1.num_batches_tracked", Tensors.zeros(ScalarType.Float));
        assertEquals(
                "The state does not fit Sequential, which is left as it was: missing: 0.bias; not"
                        + " in the model: 5.weight; of another shape or type:"
                        + " 1.num_batches_tracked is Float [] for Long [], 4.weight is Float [2,"
                        + " 17] for Float [2, 16].",
                messageOf(() -> model.loadStateDict(state)));
        assertSameTensors(before, model.stateDict());
    }

    @Test
    @DisplayName("of many problems the first are named and the rest counted")
    void countsProblems() {
        Sequential model = net();
        assertEquals(
                "The state does not fit Sequential, which is left as it was: missing: 0.weight,"
                        + " 0.bias, 1.weight, 1.bias, 1.running_mean and 4 more.",
                messageOf(() -> model.loadStateDict(new LinkedHashMap<>())));
    }

    @Test
    @DisplayName("a mask of another shape is an error that leaves the layer plain")
    void misshapenMask() {
        Linear plain = new Linear(3, 2);
        var state = new LinkedHashMap<String, Tensor>();
        state.put("bias", Tensors.zeros(2));
        state.put("weight_orig", Tensors.zeros(2, 3));
        state.put("weight_mask", Tensors.zeros(3, 2));
        assertTrue(
                messageOf(() -> plain.loadStateDict(state))
                        .contains("weight_mask is Float [3, 2] for a parameter of Float [2, 3]"));
        assertEquals(List.of("weight", "bias"), new ArrayList<>(plain.stateDict().keySet()));
    }

    @Test
    @DisplayName("a file that does not fit is named")
    void namesFile(@TempDir Path folder) {
        Path file = folder.resolve("other.safetensors");
        new Linear(1, 1).save(file);
        String message = messageOf(() -> net().load(file));
        assertTrue(
                message.startsWith("The state in " + file + " does not fit Sequential"), message);
    }

    @Test
    @DisplayName("a layer that stands at two places is masked once")
    void sharedLayer() {
        Linear shared = new Linear(2, 2);
        Sequential pruned = new Sequential(shared, shared);
        mask(shared, Tensors.of(new float[] {1, 0, 0, 1}, 2, 2));
        Linear plainShared = new Linear(2, 2);
        Sequential plain = new Sequential(plainShared, plainShared);
        plain.loadStateDict(pruned.stateDict());
        assertEquals(List.of(new Mask("weight")), plainShared.parametrizations("weight"));
        Tensor x = Tensors.randn(1, 2);
        assertTrue(Tensors.equal(pruned.call(x), plain.call(x)));
    }

    @Test
    @DisplayName("sparse tensors and those of other devices are refused before anything is changed")
    void notPlain() {
        var model = new Sequential(new Linear(2, 2), new Linear(2, 2));
        Tensor before = model.call(Tensors.ones(1, 2)).detach().clone();
        var state = new LinkedHashMap<String, Tensor>();
        model.stateDict().forEach((name, t) -> state.put(name, Tensors.ones(Tensors.shape(t))));
        state.put("1.weight", Tensors.ones(2, 2).to_sparse());

        assertEquals(
                "'1.weight' is a sparse tensor; needed is a dense tensor in main memory"
                        + " (to_dense(), cpu()).",
                messageOf(() -> model.loadStateDict(state)));

        assertTrue(Tensors.equal(before, model.call(Tensors.ones(1, 2))));
    }

    @Test
    @DisplayName(
            "a mask of other numbers than 0 and 1 is refused, for a pruned model and a plain one")
    void wrongMask() {
        for (float wrong : new float[] {2, Float.NaN, -1}) {
            var pruned = new Sequential(new Linear(2, 2));
            Prune.l1Unstructured(pruned.get(0), "weight", 0.5);
            var state = new LinkedHashMap<>(pruned.stateDict());
            state.put("0.weight_mask", Tensors.of(new float[] {1, 0, wrong, 1}, 2, 2));
            for (Sequential model : List.of(pruned, new Sequential(new Linear(2, 2)))) {
                Tensor before = model.call(Tensors.ones(1, 2)).detach().clone();

                String message = messageOf(() -> model.loadStateDict(state));

                assertTrue(message.startsWith("The mask '0.weight_mask' holds"), message);
                assertTrue(Tensors.equal(before, model.call(Tensors.ones(1, 2))));
            }
        }
    }
}
