package settle

import (
	"errors"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/identity"
	"github.com/regulars/regulars/hub/store"
)

// takePerson refreshes the node of a contact or company.
func (b *batch) takePerson(d Dirty, kind customer.Kind) error {
	if d.Deleted {
		node, err := b.Store.FindNode(b.ctx, b.tx, b.ws, d.Stream.ID, d.Key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := b.Store.SetNodeRecord(b.ctx, b.tx, b.ws, node.ID, 0); err != nil {
			return err
		}
		b.loose[node.ID] = true
		if node.Customer != 0 {
			b.profiles[node.Customer] = true
		}
		if err := b.setAnonymous(&node, false); err != nil {
			return err
		}
		if err := b.rename(node, entity.Name{}); err != nil {
			return err
		}
		return b.relink(node, b.links(identity.Source{Key: node.Key}))
	}
	node, err := b.Store.EnsureNode(b.ctx, b.tx, b.ws, d.Stream.Connection, d.Stream.Name, d.Key, kind)
	if err != nil {
		return err
	}
	if node.Record != d.Record {
		if err := b.Store.SetNodeRecord(b.ctx, b.tx, b.ws, node.ID, d.Record); err != nil {
			return err
		}
	}
	source, err := b.source(d.Stream.Entity, RawSource{Key: node.Key, UpdatedAt: d.UpdatedAt, Data: d.Data})
	if err != nil {
		return err
	}
	if err := b.setAnonymous(&node, anonymous(source)); err != nil {
		return err
	}
	switch {
	case node.Anonymous:
	case node.Customer == 0:
		b.touched[node.ID] = true
	default:
		b.profiles[node.Customer] = true
	}
	if source.Contact != nil {
		if err := b.rename(node, source.Contact.Name); err != nil {
			return err
		}
	}
	return b.relink(node, b.links(source))
}

// rename keeps the name of a node's person. Names speak against weak evidence, so another one is another partition.
func (b *batch) rename(node Node, name entity.Name) error {
	if node.Name == name {
		return nil
	}
	if !node.Anonymous {
		b.touched[node.ID] = true
	}
	return b.Store.SetNodeName(b.ctx, b.tx, b.ws, node.ID, name)
}

// anonymous says that a record stands for many people or nobody, such as the till's retail customer. Its orders are
// orders without a customer.
func anonymous(source identity.Source) bool {
	return source.Contact != nil && source.Contact.Anonymous || source.Company != nil && source.Company.Anonymous
}

// setAnonymous takes a node out of all customers, or lets it have one again. Orders keep naming the node, so it makes
// no difference whether they came before or after it was known to be nobody (R2).
func (b *batch) setAnonymous(node *Node, anonymous bool) error {
	if node.Anonymous == anonymous {
		return nil
	}
	// What the node bought counts for others from now on; a customer it gets is noted when it gets one.
	if err := b.noteOwnersOfNode(node.ID); err != nil {
		return err
	}
	if err := b.Store.SetAnonymous(b.ctx, b.tx, b.ws, node.ID, anonymous); err != nil {
		return err
	}
	if err := b.noteOwnersOfNode(node.ID); err != nil {
		return err
	}
	node.Anonymous = anonymous
	if !anonymous {
		b.touched[node.ID] = true
		return nil
	}
	delete(b.touched, node.ID)
	if node.Customer != 0 {
		b.left[node.Customer] = true
		b.profiles[node.Customer] = true
		node.Customer = 0
	}
	return nil
}

// links is what points at a source's customer, with what of it is evidence.
func (b *batch) links(source identity.Source) []Link {
	source.PersonKey = b.Rules.StrongStream(source.Key.Connection, source.Key.Stream)
	found := identity.Identifiers(source, b.Rules.Identity)
	links := make([]Link, 0, len(found))
	for _, id := range found {
		links = append(links, Link{Identifier: id, Matches: b.Rules.Identity.Joins(id)})
	}
	return links
}

// relink replaces a node's identifiers, which are sorted. When they change, the node is partitioned anew, and so is everybody it was
// or is connected to.
func (b *batch) relink(node Node, links []Link) error {
	had, err := b.Store.Links(b.ctx, b.tx, b.ws, []NodeID{node.ID})
	if err != nil {
		return err
	}
	if slices.Equal(had[node.ID], links) {
		return nil
	}
	b.touched[node.ID] = true
	var lost []customer.Identifier
	for _, old := range had[node.ID] {
		if old.Matches && !slices.Contains(links, old) {
			lost = append(lost, old.Identifier)
		}
	}
	// Those connected through an identifier that goes away may fall apart, or be free to join what they were kept from.
	others, err := b.Store.NodesWith(b.ctx, b.tx, b.ws, lost)
	if err != nil {
		return err
	}
	for _, id := range others {
		b.touched[id] = true
	}
	return b.Store.SetLinks(b.ctx, b.tx, b.ws, node.ID, links)
}

// refer returns the node a reference names, making a placeholder when nobody has come under that key yet.
func (b *batch) refer(conn store.ConnectionID, ref *entity.Ref, kind customer.Kind) (NodeID, error) {
	node, err := b.Store.EnsureNode(b.ctx, b.tx, b.ws, conn, ref.Stream, ref.Key, kind)
	if err != nil {
		return 0, err
	}
	if node.Customer == 0 && !node.Anonymous && !b.touched[node.ID] {
		b.touched[node.ID] = true
		if node.Record == 0 {
			if err := b.relink(node, b.links(identity.Source{Key: node.Key})); err != nil {
				return 0, err
			}
		}
	}
	return node.ID, nil
}

// referOrder picks the customer of an order or refund by the workspace's rule: the contact by default, the company
// if there is none, or the other way round.
func (b *batch) referOrder(conn store.ConnectionID, contact, company *entity.Ref) (NodeID, error) {
	switch {
	case company != nil && (b.Rules.ByCompany || contact == nil):
		return b.refer(conn, company, customer.Company)
	case contact != nil:
		return b.refer(conn, contact, customer.Person)
	default:
		return 0, nil
	}
}
