package io.espalier.nn;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.AbstractMap.SimpleImmutableEntry;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A module replaced in its place, and copies, which hold what stands there. */
class ModuleReplacementTest {
    @Test
    @DisplayName("a replaced layer is run through the field that declared it, in copies too")
    void replacementIsSeenThroughField() {
        ModuleTest.Two model = new ModuleTest.Two();
        Linear other = new Linear(4, 3);
        Tensor x = Tensors.randn(2, 4);
        model.replace("fc", other);
        assertTrue(Tensors.equal(other.call(x), model.fc.call(x)));
        ModuleTest.Two copy = model.copy();
        assertTrue(Tensors.equal(model.call(x), copy.call(x)));
        assertSame(copy.module("fc"), copy.fc.current());
    }

    @Test
    @DisplayName("a layer that stands at several places is replaced at all of them")
    void replacesSharedLayers() {
        var shared = new Linear(3, 3);
        Sequential inner = new Sequential(shared, new ReLU());
        Sequential model = new Sequential(shared, inner, new Linear(3, 3));
        var other = new Linear(3, 3);
        model.replace("1.0", other);
        assertSame(other, model.get(0));
        assertSame(other, inner.get(0));
        assertNotSame(other, model.get(2));
        assertSame(other, shared.current());
    }

    @Test
    @DisplayName("an alias of a replaced layer stands alone and shares the tensors")
    void aliasStandsAlone() {
        ModuleTest.Two model = new ModuleTest.Two();
        Linear alias = model.fc.alias();
        model.replace("fc", new Linear(4, 3));
        assertSame(model.fc.parameter("weight"), alias.parameter("weight"));
        Tensor x = Tensors.randn(2, 4);
        assertFalse(Tensors.equal(model.fc.call(x), alias.call(x)));
    }

    @Test
    @DisplayName("a list's modules answer after they were replaced, in copies too")
    void listSeesReplacement() {
        var list = new ModuleList<>(new Linear(2, 2), new Linear(2, 2));
        Linear other = new Linear(2, 2);
        Tensor x = Tensors.randn(1, 2);
        list.replace("1", other);
        assertTrue(Tensors.equal(other.call(x), list.get(1).call(x)));
        ModuleList<Linear> copy = list.copy();
        assertTrue(Tensors.equal(other.call(x), copy.get(1).call(x)));
        assertNotSame(list.get(0), copy.get(0));
        assertEquals("No module at 2 in a ModuleList of 2.", messageOf(() -> list.get(2)));
    }

    @Test
    @DisplayName("a layer may be put back in its place")
    void replacedBack() {
        ModuleTest.Two model = new ModuleTest.Two();
        Linear first = model.fc;
        Linear second = new Linear(4, 3);
        Tensor x = Tensors.randn(2, 4);
        Tensor before = model.fc.call(x);
        model.replace("fc", second);
        model.replace("fc", first);
        assertTrue(Tensors.equal(before, model.fc.call(x)));
        assertTrue(Tensors.equal(before, second.call(x)));
        assertSame(first, model.module("fc"));
    }

    @Test
    @DisplayName("a module can't contain itself, nor replace what it contains")
    void noCycles() {
        ModuleTest.Two model = new ModuleTest.Two();
        var around = new Sequential(model);
        assertEquals(
                "'again' can't be a child of a module that it contains.",
                messageOf(() -> model.add("again", around)));
        assertEquals(
                "What replaces 'fc' can't contain it; let it hold the alias() of what it replaces.",
                messageOf(() -> model.replace("fc", new Sequential(model.fc))));
    }

    @Test
    @DisplayName(
            "a copy computes the same and shares no tensor, also through fields that hold lists")
    void copyIsIndependent() {
        ModuleTest.Two model = new ModuleTest.Two();
        Tensor x = Tensors.randn(2, 4);
        Tensor before = model.call(x);
        ModuleTest.Two copy = model.copy();
        assertTrue(Tensors.equal(before, copy.call(x)));
        assertNotSame(model.fc, copy.fc);
        assertSame(copy.module("a"), copy.more.getFirst());
        copy.parameters().forEach(p -> p.detach().zero_());
        assertTrue(Tensors.equal(before, model.call(x)));
        assertFalse(Tensors.equal(before, copy.call(x)));
    }

    record Branch(Linear linear, String name) {}

    /** Holds its layers in whatever containers there are. */
    static final class Containers extends Module {
        final Branch branch = new Branch(add("a", new Linear(2, 2)), "a");
        final Optional<Linear> optional = Optional.of(add("b", new Linear(2, 2)));
        final Map<String, Linear> map = Map.of("c", add("c", new Linear(2, 2)));
        final Module[] array = {add("d", new Linear(2, 2))};
        final List<String> seen = new ArrayList<>();

        @Override
        protected Tensor forward(Tensor x) {
            seen.add("x");
            Tensor y = optional.orElseThrow().call(branch.linear.call(x));
            for (Linear linear : map.values()) {
                y = linear.call(y);
            }
            return array[0].call(y);
        }
    }

    @Test
    @DisplayName("a copy runs its own layers, whatever holds them")
    void copyMapsContainers() {
        Containers model = new Containers();
        Tensor x = Tensors.randn(1, 2);
        Tensor before = model.call(x);
        Containers copy = model.copy();
        model.parameters().forEach(parameter -> parameter.detach().zero_());
        assertTrue(Tensors.equal(before, copy.call(x)));
        assertEquals("a", copy.branch.name);
        assertEquals(1, model.seen.size());
    }

    @Test
    @DisplayName("a copy that can't hold its layers as the original does says so")
    void copyRefusesContainer() {
        var model =
                new Module() {
                    final SimpleImmutableEntry<String, Linear> layer =
                            new SimpleImmutableEntry<>("a", add("a", new Linear(2, 2)));
                };
        String message = messageOf(model::copy);
        assertTrue(
                message.endsWith(
                        "its field 'layer' is a SimpleImmutableEntry, of which there is no copy;"
                                + " declare it as the interface of its kind, such as List or"
                                + " Map."),
                message);
        assertEquals("a", model.layer.getKey());
    }
}
