package io.espalier.onnx.shape;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.proto.NodeProto;
import io.espalier.onnx.proto.TypeProto;
import io.espalier.onnx.proto.ValueInfoProto;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What is known of the values of a graph, and, within a node's graph, of those around it. */
final class Scope {
    /** What all graphs of a model share. */
    static final class World {
        final Map<String, Long> opsets;

        /** Free dimensions whose size is given. */
        final Map<String, Long> sizes;

        /** What divisions divide, those in graphs inside nodes too. */
        private final IdentityHashMap<NodeProto, ElementType> divided = new IdentityHashMap<>();

        private int unknowns;

        World(Map<String, Long> opsets, Map<String, Long> sizes) {
            this.opsets = opsets;
            this.sizes = sizes;
        }

        void divides(NodeProto node, @Nullable ElementType type) {
            if (type != null) {
                divided.put(node, type);
            }
        }

        @Nullable ElementType divided(NodeProto node) {
            return divided.get(node);
        }

        /** A number of which nothing is known but a bound. */
        Extent unknown(long least) {
            return Extent.of(new Factor.Symbol("?" + ++unknowns, least));
        }
    }

    /** Where a graph keeps its constants and what it says of its values. */
    interface Source {
        /** The constant of this name if it is the same in each run. */
        @Nullable ConstantTensor constant(String name);

        /** What the file says of a value. */
        @Nullable ValueInfoProto declared(String name);
    }

    final World world;
    final int depth;

    private final @Nullable Scope outer;
    private final Source source;
    private final Map<String, ValueType> types = new HashMap<>();
    private final Map<String, Optional<Contents>> contents = new HashMap<>();
    private final List<Contradiction> contradictions = new ArrayList<>();

    Scope(World world, Source source) {
        this.world = world;
        this.source = source;
        this.outer = null;
        this.depth = 0;
    }

    /** That of a graph inside a node of another's. */
    Scope(Scope outer, Source source) {
        this.world = outer.world;
        this.source = source;
        this.outer = outer;
        this.depth = outer.depth + 1;
    }

    ValueType type(String name) {
        ValueType type = types.get(name);
        if (type != null) {
            return type;
        }
        ConstantTensor constant = source.constant(name);
        if (constant != null) {
            return of(constant);
        }
        return outer == null ? ValueType.UNKNOWN : outer.type(name);
    }

    static ValueType of(ConstantTensor constant) {
        return new ValueType(constant.type(), constant.shape().stream().map(Extent::of).toList());
    }

    @Nullable Contents contents(String name) {
        Optional<Contents> known = contents.get(name);
        if (known == null) {
            ConstantTensor constant = types.containsKey(name) ? null : source.constant(name);
            if (constant == null) {
                return types.containsKey(name) || outer == null ? null : outer.contents(name);
            }
            known = Optional.ofNullable(Contents.of(constant));
            contents.put(name, known);
        }
        return known.orElse(null);
    }

    void add(Contradiction contradiction) {
        contradictions.add(contradiction);
    }

    /** The nodes of this graph itself that can't run. */
    List<Contradiction> contradictions() {
        return contradictions;
    }

    void put(String name, ValueType type) {
        types.put(name, type);
    }

    void put(String name, Contents known) {
        contents.put(name, Optional.of(known));
    }

    /** What is found of a value, completed by what the file says where that is more. */
    ValueType completed(String name, ValueType found) {
        ValueInfoProto info = source.declared(name);
        if (info == null || found.isKnown() || !info.getType().hasTensorType()) {
            return found;
        }
        var elements =
                found.elements() == null ? ValueType.elements(info.getType()) : found.elements();
        List<Extent> said = declaredShape(info.getType());
        List<Extent> shape = found.shape();
        if (shape == null) {
            return new ValueType(elements, said);
        }
        if (said == null || said.size() != shape.size()) {
            return new ValueType(elements, shape);
        }
        var merged = new ArrayList<Extent>();
        for (int i = 0; i < shape.size(); i++) {
            boolean open = shape.get(i).names().stream().anyMatch(n -> n.startsWith("?"));
            merged.add(open ? said.get(i) : shape.get(i));
        }
        return new ValueType(elements, merged);
    }

    /** The extents that a message declares; null if it declares none. */
    @Nullable List<Extent> declaredShape(TypeProto type) {
        return Declared.hasShape(type)
                ? Declared.shape(type, world.sizes, dim -> world.unknown(0))
                : null;
    }
}
