package io.espalier.onnx.fit;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Data on its way through a model while that is being written: nodes are added in order, and run by
 * ONNX Runtime's own kernels when a value is asked for. What the next layer is fitted to is
 * therefore what it will be given.
 *
 * <p>Only values that somebody still reads are held.
 */
public final class ValueStream implements AutoCloseable {
    private final OnnxModel versions;
    private final List<Map<String, Tensor>> batches = new ArrayList<>();
    private final Map<String, ConstantTensor> constants = new HashMap<>();
    private final List<OnnxNode> waiting = new ArrayList<>();
    private Supplier<Set<String>> live = Set::of;

    /**
     * Begins with a model's inputs.
     *
     * @param versions whose versions of operators the nodes call
     */
    public ValueStream(OnnxModel versions, List<Map<String, Tensor>> inputs) {
        this.versions = versions;
        for (Map<String, Tensor> batch : inputs) {
            var values = new HashMap<String, Tensor>();
            batch.forEach((name, tensor) -> values.put(name, Tensors.keep(tensor)));
            batches.add(values);
        }
    }

    /** Says whom to ask which values will still be read. */
    public void begin(Supplier<Set<String>> asked) {
        live = asked;
    }

    /** Makes a constant known to the nodes that come. */
    public void addConstant(String name, ConstantTensor constant) {
        constants.put(name, constant);
    }

    /** Adds a node of the quantized model. */
    public void add(OnnxNode node) {
        waiting.add(node);
    }

    /** How many batches there are. */
    public int batches() {
        return batches.size();
    }

    /** A value for one batch, which stays the stream's. */
    public Tensor value(String name, int batch) {
        advance(name);
        return known(batches.get(batch), name);
    }

    /** Shows a value to somebody, batch after batch. */
    public void forEach(String value, Consumer<Tensor> reader) {
        advance(value);
        for (Map<String, Tensor> batch : batches) {
            try (var scope = new PointerScope()) {
                reader.accept(known(batch, value));
            }
        }
    }

    /** Shows what nodes would make of the values so far, without adding them. */
    public void tryOut(
            List<OnnxNode> nodes,
            Map<String, ConstantTensor> own,
            String result,
            Consumer<Tensor> reader) {
        Set<String> reads = reads(nodes);
        reads.removeAll(own.keySet());
        reads.removeIf(constants::containsKey);
        reads.forEach(read -> advance(read));
        var all = new HashMap<>(constants);
        all.putAll(own);
        try (var session = open(nodes, all, List.of(result), reads)) {
            for (Map<String, Tensor> batch : batches) {
                try (var scope = new PointerScope()) {
                    reader.accept(known(session.run(only(batch, reads)), result));
                }
            }
        }
    }

    /** Runs what waits, if the value is not there yet, and holds what will be read. */
    private void advance(String value) {
        if (batches.isEmpty() || batches.getFirst().containsKey(value)) {
            return;
        }
        Set<String> later = live.get();
        var made = new LinkedHashSet<String>();
        waiting.forEach(node -> made.addAll(node.outputs()));
        var kept = new ArrayList<String>();
        for (String name : made) {
            if (name.equals(value) || later.contains(name)) {
                kept.add(name);
            }
        }
        kept.removeIf(batches.getFirst()::containsKey);
        Set<String> reads = reads(waiting);
        reads.removeIf(constants::containsKey);
        List<String> tensors;
        try (var session = open(waiting, constants, kept, reads)) {
            tensors = session.tensors();
            for (Map<String, Tensor> batch : batches) {
                try (var scope = new PointerScope()) {
                    session.run(only(batch, reads), tensors)
                            .forEach((name, tensor) -> batch.put(name, Tensors.keep(tensor)));
                }
            }
        }
        kept.removeAll(tensors);
        waiting.retainAll(makersOf(kept));
        var needed = reads(waiting);
        needed.addAll(later);
        forgetAllBut(needed, value);
    }

    /** The nodes that wait and are needed for values that can't be held: they will run again. */
    private Set<OnnxNode> makersOf(List<String> values) {
        var wanted = new HashSet<>(values);
        var makers = new HashSet<OnnxNode>();
        for (OnnxNode node : waiting.reversed()) {
            if (node.outputs().stream().anyMatch(wanted::contains)) {
                makers.add(node);
                wanted.addAll(node.reads());
            }
        }
        return makers;
    }

    private OnnxSession open(
            List<OnnxNode> nodes,
            Map<String, ConstantTensor> known,
            Collection<String> results,
            Set<String> reads) {
        var types = new LinkedHashMap<String, ElementType>();
        for (String read : reads) {
            types.put(read, ElementType.of(Tensors.type(known(batches.getFirst(), read))));
        }
        var used = new LinkedHashMap<String, ConstantTensor>();
        for (OnnxNode node : nodes) {
            for (String read : node.reads()) {
                ConstantTensor constant = known.get(read);
                if (constant != null) {
                    used.put(read, constant);
                }
            }
        }
        return OnnxSession.open(
                versions.fragment(nodes, used, types, results), s -> s.sharingThreads());
    }

    private static Set<String> reads(List<OnnxNode> nodes) {
        var reads = new LinkedHashSet<String>();
        nodes.forEach(node -> reads.addAll(node.reads()));
        nodes.forEach(node -> node.outputs().forEach(reads::remove));
        return reads;
    }

    private static Map<String, Tensor> only(Map<String, Tensor> batch, Set<String> names) {
        var inputs = new LinkedHashMap<String, Tensor>();
        names.forEach(name -> inputs.put(name, known(batch, name)));
        return inputs;
    }

    private static Tensor known(Map<String, Tensor> values, String name) {
        Tensor tensor = values.get(name);
        if (tensor == null) {
            throw new IllegalStateException("The value " + name + " was let go too early.");
        }
        return tensor;
    }

    private void forgetAllBut(Set<String> later, String value) {
        for (Map<String, Tensor> batch : batches) {
            for (String name : new HashSet<>(batch.keySet())) {
                if (!later.contains(name) && !name.equals(value)) {
                    free(batch.remove(name));
                }
            }
        }
    }

    private static void free(@Nullable Tensor tensor) {
        if (tensor != null) {
            tensor.releaseReference();
        }
    }

    @Override
    public void close() {
        batches.forEach(batch -> batch.values().forEach(Tensor::releaseReference));
        batches.clear();
    }
}
